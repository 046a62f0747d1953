"""Every entry of the zoo has scores worth comparing, and is what its facts say."""

import copy
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from l2rw_ray.meta import reference_scores
from tests.meta import networks
from tests.meta.zoo.entry import META_SIZE, TRAIN_SIZE, Case, cross_entropy
from tests.meta.zoo.reference import seeded_losses, true_scores, true_weighted_gradient
from tests.meta.zoo.registry import ZOO

EVERY = pytest.mark.parametrize("name", ZOO)


@cache
def _built(name: str) -> Case:
    """Build an entry once for all tests, none of which writes it."""
    return ZOO[name].build()


@cache
def _scores(name: str) -> Tensor:
    return true_scores(*_built(name))


@EVERY
def test_scores_are_finite_and_differ_between_examples(name: str) -> None:
    scores = _scores(name)
    assert scores.shape == (TRAIN_SIZE,)
    assert scores.isfinite().all()
    assert scores.norm() > 0.01
    assert scores.std() > 0.01 * scores.norm()


@EVERY
def test_single_precision_is_built_alike(name: str) -> None:
    single, wide = ZOO[name].build(torch.float32), _built(name)
    assert all(p.dtype == torch.float32 for p in single.model.parameters())
    for batch, wide_batch in ((single.train, wide.train), (single.meta, wide.meta)):
        found, expected = _losses(single, batch), _losses(wide, wide_batch)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected.double(), rtol=1e-3, atol=1e-4)


@EVERY
def test_reference_leaves_no_trace_and_sums_to_the_weighted_gradient(name: str) -> None:
    model, losses, train, meta = _built(name)
    before, drawn = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    weights = torch.randn(TRAIN_SIZE, generator=torch.Generator().manual_seed(1)).to(next(model.parameters()))
    gradient = true_weighted_gradient(model, losses, train, weights)
    direction = true_weighted_gradient(
        model, losses, meta, torch.full_like(weights[:META_SIZE], 1 / META_SIZE)
    )
    scores = true_scores(model, losses, train, meta)
    assert torch.equal(torch.get_rng_state(), drawn)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert all(p.grad is None for p in model.parameters())
    found = sum((gradient[key] * direction[key]).sum() for key in gradient)
    precision = 1e-4 if ZOO[name].single_only or ZOO[name].single_inside else 1e-9
    assert abs(found - weights @ scores) < precision * scores.norm() * weights.norm()


@EVERY
def test_coupled_entries_look_at_their_batch(name: str) -> None:
    entry = ZOO[name]
    if entry.ragged or entry.random:
        pytest.skip("its rows cannot be taken apart")
    case = _built(name)
    together = _losses(case, case.train)
    tolerance = 1e-5 if entry.single_inside or entry.single_only else 1e-9
    same = []
    for rows in (slice(0, 3), slice(3, 6), slice(0, 6, 2), slice(1, 6, 2)):
        alone = _losses(case, pytree.tree_map(lambda leaf: leaf[rows], case.train))  # noqa: B023
        same.append(torch.allclose(alone, together[rows], rtol=tolerance, atol=0))
    assert all(same) != entry.coupled


@EVERY
def test_random_entries_draw(name: str) -> None:
    case = _built(name)
    with torch.random.fork_rng():
        before = torch.get_rng_state()
        case.losses(copy.deepcopy(case.model), case.train)
        assert torch.equal(torch.get_rng_state(), before) != ZOO[name].random


@EVERY
def test_scores_are_slopes_unless_gradients_are_changed(name: str) -> None:
    entry = ZOO[name]
    if entry.single_only:
        pytest.skip("too coarse for differences")
    scores, expected = _scores(name), _slopes(_built(name))
    agrees = (scores - expected).norm() < 1e-5 * scores.norm()
    assert agrees != (entry.stops or entry.single_inside)


@pytest.mark.parametrize("name", networks.BUILDERS)
def test_true_scores_are_those_of_the_papers_algorithm(name: str) -> None:
    case = networks.make_case(name)
    expected = reference_scores(case.network, networks.LOSS, case.train, case.meta)
    found = true_scores(case.network, cross_entropy, case.train, case.meta)
    assert networks.relative_error(found, expected) < 1e-9


def _losses(case: Case, batch: Any) -> Tensor:
    return seeded_losses(copy.deepcopy(case.model), case.losses, batch).detach()


def _slopes(case: Case, step: float = 1e-6) -> Tensor:
    """Derivatives of the train losses along the meta gradient, by central differences."""
    weights = torch.full((META_SIZE,), 1 / META_SIZE, dtype=torch.float64)
    direction = true_weighted_gradient(case.model, case.losses, case.meta, weights)
    length = sum(part.square().sum() for part in direction.values()) ** 0.5

    def losses_at(distance: float) -> Tensor:
        moved = copy.deepcopy(case.model)
        with torch.no_grad():
            for name, parameter in moved.named_parameters():
                if name in direction:
                    parameter += distance / length * direction[name]
        return seeded_losses(moved, case.losses, case.train).detach()

    return (losses_at(step) - losses_at(-step)) / (2 * step) * length
