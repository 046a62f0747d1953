"""Embedding bags, and sparse weighted gradients."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta import ReweightedStep
from tests.meta.alignment.layers.exact import LOSS, assert_exact, passed

T, E, C, V = 4, 8, 5, 11


class _Bags(nn.Module):
    """Words of each text in a bag; as rows, or one behind another without the zeros."""

    def __init__(self, *, is_ragged: bool, **options: object) -> None:
        super().__init__()
        self.bag, self.head = nn.EmbeddingBag(V, E, **options), nn.Linear(E, C)
        self.is_ragged = is_ragged

    def forward(self, ids: Tensor) -> Tensor:
        if not self.is_ragged:
            return self.head(torch.tanh(self.bag(ids)))
        ends = (ids > 0).sum(dim=1).cumsum(0)
        offsets = torch.cat([torch.zeros_like(ends[:1]), ends])
        offsets = offsets if self.bag.include_last_offset else offsets[:-1]
        shares = torch.linspace(0.5, 2, V).double()[ids[ids > 0]] if self.bag.mode == "sum" else None
        return self.head(torch.tanh(self.bag(ids[ids > 0], offsets, shares)))


def text(size: int) -> tuple[Tensor, Tensor]:
    return torch.randint(V, (size, T)), torch.randint(C, (size,))


@pytest.mark.parametrize("is_ragged", [True, False])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize(
    "options",
    [{"mode": "sum"}, {"mode": "mean"}, {"mode": "mean", "padding_idx": 3}, {"include_last_offset": True}],
)
def test_bags(is_ragged: bool, sparse: bool, options: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = _Bags(is_ragged=is_ragged, sparse=sparse, **options).double()
    assert_exact(network, text(7), text(3))


def test_the_maximum_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="bag': mode='max' has no rule"):
        passed(_Bags(is_ragged=False, mode="max").double(), LOSS, text(7))


def _embedding() -> nn.Module:
    return nn.Sequential(nn.Embedding(V, E, sparse=True), nn.Flatten(), nn.Linear(T * E, C))


@pytest.mark.parametrize("build", [_embedding, lambda: _Bags(is_ragged=False, sparse=True)])
def test_a_sparse_layer_gets_a_sparse_gradient(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = build().double()
    assert_exact(network, text(7), text(3))
    table = next(network.parameters())
    before = table.detach().clone()
    for parameter in network.parameters():
        parameter.requires_grad_(parameter is table)
    step = ReweightedStep(network, torch.optim.SparseAdam([table], lr=0.1), LOSS, estimator="ghost")
    step(text(7), text(3))
    assert table.grad is None or table.grad.is_sparse
    assert not torch.equal(table, before)
