"""Multi-head attention in all its forms has exact example gradients, and draws torch's own dropout."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from l2rw_ray.errors import UnsupportedModelError
from tests.meta.alignment.layers.exact import LOSS, assert_exact, losses_of, passed

T, E, C, V = 4, 8, 5, 11


class _Attending(nn.Module):
    """Attends by what it is given, on embedded words.

    Args:
        attend: Maps (the layer, [N, T, E] or [T, N, E], ids) to the same.
        options: Of the layer.
    """

    def __init__(self, attend: Callable[[nn.Module, Tensor, Tensor], Tensor], **options: object) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(V, E), nn.Linear(E, C)
        self.attention = nn.MultiheadAttention(E, 2, **options)
        self.attend, self.is_batch_first = attend, options.get("batch_first", False)

    def forward(self, ids: Tensor) -> Tensor:
        h = self.words(ids)
        h = h if self.is_batch_first else h.transpose(0, 1)
        h = h + self.attend(self.attention, torch.tanh(h), ids)
        return self.head(h.mean(dim=1 if self.is_batch_first else 0))


def _self(layer: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    return layer(h, h, h, need_weights=False)[0]


def _weights(layer: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    out, weights = layer(h, h, h)
    return out * weights.amax(dim=(1, 2))[:, None, None]


def _weights_by_head(layer: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    out, weights = layer(h, h, h, average_attn_weights=False, attn_mask=_causal())
    return out * weights[:, 1, 2, 1][:, None, None]


def _cross(layer: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    memory = torch.sin(h)[:, :3]
    return layer(h, memory, memory, need_weights=False)[0]


def _three(layer: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    return layer(h, torch.sin(h)[..., :6], torch.cos(h)[..., :5])[0]


def _padded(layer: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    padding = ids > 7
    padding[:, 0] = False
    return layer(h, h, h, key_padding_mask=padding, attn_mask=_causal() > 0, need_weights=False)[0]


def _is_causal(layer: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    return layer(h, h, h, attn_mask=_causal(), is_causal=True, need_weights=False)[0]


def _mask_by_head(layer: nn.Module, h: Tensor, ids: Tensor) -> Tensor:
    mask = torch.sin(ids.double()[:, None, :, None] + torch.arange(2)[:, None, None]).expand(-1, -1, -1, T)
    return layer(h, h, h, attn_mask=mask.flatten(0, 1), need_weights=False)[0]


def _causal() -> Tensor:
    return nn.Transformer.generate_square_subsequent_mask(T, dtype=torch.float64)


FIRST = {"batch_first": True}
CASES = {
    "self": (_self, FIRST),
    "sequence_first": (_self, {}),
    "without_bias": (_self, {**FIRST, "bias": False}),
    "weights": (_weights, FIRST),
    "weights_by_head": (_weights_by_head, FIRST),
    "cross": (_cross, FIRST),
    "separate_weights": (_three, {**FIRST, "kdim": 6, "vdim": 5}),
    "padded": (_padded, FIRST),
    "is_causal": (_is_causal, FIRST),
    "mask_by_head": (_mask_by_head, FIRST),
}


def text(size: int) -> tuple[Tensor, Tensor]:
    return torch.randint(V, (size, T)), torch.randint(C, (size,))


@pytest.mark.parametrize("name", CASES)
def test_attention(name: str) -> None:
    torch.manual_seed(0)
    attend, options = CASES[name]
    network = _Attending(attend, **options).double()
    assert_exact(network, text(7), text(3))
    assert_exact(network.eval(), text(7), text(3))


@pytest.mark.parametrize("size", [T, 2 * T])
def test_as_many_examples_as_positions(size: int) -> None:
    torch.manual_seed(0)
    assert_exact(_Attending(_padded, batch_first=True).double(), text(size - 1), text(1))


@pytest.mark.parametrize("attend", [_self, _weights])
def test_dropout_is_that_of_torch(attend: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    network, train = _Attending(attend, dropout=0.5, batch_first=True).double(), text(7)
    torch.manual_seed(1)
    expected = LOSS(network(train[0]), train[1])
    torch.manual_seed(1)
    assert torch.allclose(losses_of(network, LOSS, train), expected)


@pytest.mark.parametrize("option", ["add_bias_kv", "add_zero_attn"])
def test_extended_keys_are_refused(option: str) -> None:
    network = _Attending(_self, batch_first=True, **{option: True}).double()
    with pytest.raises(UnsupportedModelError, match="add_bias_kv"):
        passed(network, LOSS, text(7))


class _Encoder(nn.Module):
    def __init__(self, *, norm_first: bool, batch_first: bool) -> None:
        super().__init__()
        self.words, self.head, self.batch_first = nn.Embedding(V, E), nn.Linear(E, C), batch_first
        layer = nn.TransformerEncoderLayer(E, 2, 16, 0.0, norm_first=norm_first, batch_first=batch_first)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, ids: Tensor) -> Tensor:
        h = self.words(ids)
        padding = torch.cat([torch.zeros_like(ids[:, :1], dtype=torch.bool), ids[:, 1:] > 8], dim=1)
        h = self.body(h if self.batch_first else h.transpose(0, 1), src_key_padding_mask=padding)
        return self.head(h.mean(dim=1 if self.batch_first else 0))


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("is_training", [True, False])
def test_transformer_encoders(norm_first: bool, batch_first: bool, is_training: bool) -> None:
    torch.manual_seed(0)
    network = _Encoder(norm_first=norm_first, batch_first=batch_first).double().train(is_training)
    assert_exact(network, text(7), text(3))


class _EncoderDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(V, E), nn.Linear(E, C)
        self.body = nn.Transformer(E, 2, 1, 1, 16, 0.0, batch_first=True)

    def forward(self, ids: Tensor) -> Tensor:
        h = self.words(ids)
        return self.head(self.body(h, h.flip(1), tgt_mask=_causal(), tgt_is_causal=True).mean(1))


def test_a_transformer() -> None:
    torch.manual_seed(0)
    assert_exact(_EncoderDecoder().double(), text(7), text(3))
