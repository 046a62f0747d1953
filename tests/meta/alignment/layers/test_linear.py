"""The two ways of holding a linear layer's example gradients come to the same."""

import pytest
import torch
from torch import Tensor

from l2rw_ray.meta.alignment.layers import linear
from l2rw_ray.meta.alignment.layers.linear import FactoredLinear, FormedLinear
from l2rw_ray.meta.alignment.row_weights import RowWeights
from l2rw_ray.meta.outer_sum import formed

TRAIN_SIZE, META_SIZE = 5, 3


def _gradients(outputs: int, inputs: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    size = TRAIN_SIZE + META_SIZE
    return torch.randn(size, 4, inputs).double(), torch.randn(size, 4, outputs).double()


@pytest.mark.parametrize("kind", [FormedLinear, FactoredLinear])
@pytest.mark.parametrize(("outputs", "inputs"), [(3, 7), (7, 3)])
@pytest.mark.parametrize("piece", [1, 2, TRAIN_SIZE])
def test_it_equals_sums_over_positions(
    monkeypatch: pytest.MonkeyPatch, kind: type[FormedLinear], outputs: int, inputs: int, piece: int
) -> None:
    monkeypatch.setattr(linear, "_PIECE_BYTES", piece * outputs * inputs * 8)
    x, gradient = _gradients(outputs, inputs)
    weight, direction = torch.randn(2, outputs, inputs).double()
    weights_B = torch.rand(TRAIN_SIZE).double()
    rows = torch.einsum("nto,nti->noi", gradient, x)

    held = kind(weight, x, gradient, TRAIN_SIZE)

    torch.testing.assert_close(formed(held.meta_gradient()), rows[TRAIN_SIZE:].sum(dim=0))
    expected_B = (rows[:TRAIN_SIZE] * direction).sum(dim=(1, 2))
    torch.testing.assert_close(held.alignments(direction), expected_B)
    expected = torch.einsum("b,boi->oi", weights_B, rows[:TRAIN_SIZE])
    torch.testing.assert_close(held.weighted(RowWeights.of(weights_B)), expected)


@pytest.mark.parametrize("kind", [FormedLinear, FactoredLinear])
def test_it_has_no_meta_gradient_where_the_meta_batch_passes_alone(kind: type[FormedLinear]) -> None:
    x, gradient = _gradients(3, 7)
    held = kind(torch.zeros(3, 7).double(), x[:TRAIN_SIZE], gradient[:TRAIN_SIZE], TRAIN_SIZE)
    assert not formed(held.meta_gradient()).any()
