"""Certificates find wrong scores and let right ones pass, in every precision."""

import copy
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta import example_scores
from l2rw_ray.meta.alignment import ScoredBatch
from l2rw_ray.meta.alignment.per_example import PerExample
from l2rw_ray.meta.direction import DirectionSource
from l2rw_ray.meta.evaluation.batches import Batch
from l2rw_ray.meta.evaluation.forward import Forward
from tests.meta.networks import CLASSES, LOSS, SHAPE, make_case


class _Off(PerExample):
    """True scores with an error of a given length relative to theirs, in a random direction."""

    def __init__(self, error: float, seed: int = 0) -> None:
        self._error, self._seed = error, seed

    def score(self, forward: Forward, batch: Batch, source: DirectionSource) -> ScoredBatch:
        scored = super().score(forward, batch, source)
        generator = torch.Generator().manual_seed(self._seed)
        wrong = torch.randn(scored.scores.shape, generator=generator, dtype=torch.float64)
        wrong *= self._error * scored.scores.double().norm() / wrong.norm()
        return replace(scored, scores=(scored.scores + wrong).to(scored.scores.dtype))


@cache
def _network() -> nn.Module:
    return make_case("mlp").network


def _is_refused(
    error: float, dtype: torch.dtype, size: int = 8, seed: int = 0, *, autocast: bool = False
) -> bool:
    network = copy.deepcopy(_network()).to(dtype)
    generator = torch.Generator().manual_seed(seed)

    def made(count: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(count, *SHAPE, generator=generator, dtype=torch.float64)
        return x.to(dtype), torch.randint(CLASSES, (count,), generator=generator)

    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        try:
            example_scores(network, LOSS, made(size), made(4), _Off(error, seed))
        except UnsupportedModelError as refused:
            return "scores differ" in str(refused)
    return False


@pytest.mark.parametrize("size", [1, 2])
def test_errors_of_few_examples_are_always_found(size: int) -> None:
    """Draws at right angles span all errors; Gaussian ones missed 1.5 % of these."""
    assert all(_is_refused(3e-7, torch.float64, size, seed) for seed in range(10))


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-5), (torch.float32, 3e-3)])
def test_small_errors_are_found(dtype: torch.dtype, error: float) -> None:
    assert sum(_is_refused(error, dtype, seed=seed) for seed in range(10)) >= 9


@pytest.mark.parametrize("autocast", [False, True])
def test_errors_are_told_from_the_rounding_of_bfloat16(autocast: bool) -> None:
    dtype = torch.float32 if autocast else torch.bfloat16
    assert not any(_is_refused(0.0, dtype, seed=seed, autocast=autocast) for seed in range(10))
    assert sum(_is_refused(0.5, dtype, seed=seed, autocast=autocast) for seed in range(10)) >= 8
