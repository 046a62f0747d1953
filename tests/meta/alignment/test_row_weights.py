"""Weighted sums of products of rows, of which those without a weight are left out."""

import weakref

import pytest
import torch

from l2rw_ray.meta.alignment.row_weights import RowWeights


def _weights(size: int, count: int) -> torch.Tensor:
    """Return weights of which `count` are not zero, some of them negative."""
    weights_B = torch.zeros(size)
    weights_B[torch.randperm(size)[:count]] = torch.randn(count).sign() * (0.5 + torch.rand(count))
    return weights_B


@pytest.mark.parametrize(("size", "count"), [(1, 0), (1, 1), (7, 3), (16, 0), (64, 9), (64, 33), (100, 100)])
@pytest.mark.parametrize(("left", "right"), [(3, 5), (5, 3)])
def test_it_equals_the_sum_over_all_rows(size: int, count: int, left: int, right: int) -> None:
    weights_B, rows, others = _weights(size, count), torch.randn(size, left), torch.randn(size, right)
    scaled, kept = RowWeights.of(weights_B).scaled_pair(rows, others)
    torch.testing.assert_close(scaled.T @ kept, (weights_B.unsqueeze(1) * rows).T @ others)


@pytest.mark.parametrize(
    ("count", "kept"), [(0, 0), (1, 8), (8, 8), (9, 16), (48, 48), (57, None), (64, None)]
)
def test_rows_are_left_out_by_eighths(count: int, kept: int | None) -> None:
    found = RowWeights.of(_weights(64, count)).kept
    assert (None if found is None else len(found)) == kept


def test_weights_that_are_all_kept_are_freed_at_once() -> None:
    weights = RowWeights.of(torch.ones(16))
    reference = weakref.ref(weights)
    weights.scaled_pair(torch.ones(16, 1), torch.ones(16, 1))
    del weights
    assert reference() is None


def test_a_weight_that_is_no_number_is_kept() -> None:
    weights_B = torch.zeros(16)
    weights_B[5] = torch.nan
    scaled, kept = RowWeights.of(weights_B).scaled_pair(torch.ones(16, 1), torch.ones(16, 1))
    assert (scaled.T @ kept).isnan()


def test_examples_of_several_rows_are_kept_whole() -> None:
    weights_B = _weights(16, 5)
    repeated = RowWeights.of(weights_B).repeated(3)
    rows, others = torch.randn(48, 2), torch.randn(48, 4)
    scaled, kept = repeated.scaled_pair(rows, others)
    assert len(scaled) == 3 * 6
    expected = (weights_B.repeat_interleave(3).unsqueeze(1) * rows).T @ others
    torch.testing.assert_close(scaled.T @ kept, expected)
