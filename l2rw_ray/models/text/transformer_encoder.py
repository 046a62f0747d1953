"""A small transformer encoder of texts.

Shape suffixes: B batch, T longest text of it, E width, H heads.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.models.registry import MODELS
from l2rw_ray.models.text.inputs import IDS, MASK, checked_vocabulary
from l2rw_ray.trees import Shapes

_WIDER = 4
"""Width of a layer's hidden units in terms of the network's."""
_DEVIATION = 0.02
"""Standard deviation of the initial token and position vectors, as in BERT."""


class _Layer(nn.Module):
    """Attention and two linear layers, each behind a normalisation and around an identity."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self._heads, self._dropout = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attended = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.wider, self.narrower = nn.Linear(width, _WIDER * width), nn.Linear(_WIDER * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTE: Tensor, mask_B11T: Tensor) -> Tensor:
        x_BTE = x_BTE + self.dropout(self.mixed(self._attention(self.norm1(x_BTE), mask_B11T)))
        hidden = functional.gelu(self.wider(self.norm2(x_BTE)))
        added: Tensor = self.dropout(self.narrower(hidden))
        return x_BTE + added

    def _attention(self, x_BTE: Tensor, mask_B11T: Tensor) -> Tensor:
        parts = self.attended(x_BTE).chunk(3, dim=2)
        q, k, v = (part.unflatten(2, (self._heads, -1)).transpose(1, 2) for part in parts)
        rate = self._dropout if self.training else 0.0
        found = functional.scaled_dot_product_attention(q, k, v, mask_B11T, rate)
        return found.transpose(1, 2).flatten(2)


class TransformerEncoder(nn.Module):
    """Token and position vectors, layers of attention, the mean over the tokens, and a linear layer.

    Source: Vaswani et al. 2017, with normalisation in front (Xiong et al. 2020), learned positions and GELU
    as in BERT.

    Args:
        vocab_size: Number of tokens.
        classes: Outputs.
        max_length: Most tokens of a text.
        width: Length of a token's vector, through all layers.
        depth: Number of layers.
        heads: Heads of each.
        dropout: Share of what goes into a sum that training drops.
    """

    def __init__(
        self,
        vocab_size: int,
        classes: int,
        max_length: int,
        width: int,
        depth: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab_size, width), nn.Embedding(max_length, width)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=_DEVIATION)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(_Layer(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, classes)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return outputs [B, classes] of token ids and mask, int64 [B, T]."""
        ids_BT, mask_BT = inputs[IDS], inputs[MASK].bool()
        places_BT = torch.arange(ids_BT.shape[1], device=ids_BT.device).expand_as(ids_BT)
        x_BTE = self.dropout(self.tokens(ids_BT) + self.positions(places_BT))
        for layer in self.layers:
            x_BTE = layer(x_BTE, mask_BT[:, None, None, :])
        counted_BT1 = mask_BT.unsqueeze(2)
        mean_BE = (self.norm(x_BTE) * counted_BT1).sum(dim=1) / counted_BT1.sum(dim=1)
        output: Tensor = self.output(self.dropout(mean_BE))
        return output


@MODELS.register("transformer_encoder")
def transformer_encoder(
    input_shape: Shapes,
    classes: int,
    vocab_size: int | None = None,
    width: int = 128,
    depth: int = 2,
    heads: int = 4,
    dropout: float = 0.0,
) -> nn.Module:
    """Build a small transformer encoder."""
    vocabulary = checked_vocabulary("transformer_encoder", input_shape, vocab_size)
    (max_length,) = input_shape[IDS]
    return TransformerEncoder(vocabulary, classes, max_length, width, depth, heads, dropout)
