"""Directions and smoothed scores that outlive a step."""

import copy

import pytest
import torch

from l2rw_ray.meta import ReweightedStep, example_scores
from l2rw_ray.meta.direction import Direction
from l2rw_ray.meta.outer_sum import OuterSum
from tests.meta.networks import LOSS, batch, make_case, relative_error


def test_score_momentum_by_hand() -> None:
    case = make_case("mlp", train_size=4)
    optimizer = torch.optim.SGD(case.network.parameters(), lr=0.0)
    step = ReweightedStep(case.network, optimizer, LOSS, score_momentum=0.75, clip="abs", normalise="none")
    first = step(case.train, case.meta, torch.tensor([0, 1, 2, 3]))
    other = batch(4)
    second = step(other, case.meta, torch.tensor([2, 7, 0, 8]))
    fresh = example_scores(case.network, LOSS, other, case.meta)
    earlier = first.scores[torch.tensor([2, 0, 0, 0])]
    mixed = 0.75 * earlier + 0.25 * fresh
    expected = torch.stack([mixed[0], fresh[1], 0.75 * first.scores[0] + 0.25 * fresh[2], fresh[3]])
    torch.testing.assert_close(second.weights, expected.abs())


def test_direction_is_used_again() -> None:
    case = make_case("mlp")
    optimizer = torch.optim.SGD(case.network.parameters(), lr=0.1)
    step = ReweightedStep(case.network, optimizer, LOSS, meta_gradient_every=3)
    metas = [batch(4) for _ in range(4)]
    results = [step(batch(5), meta) for meta in metas]
    assert [result.direction_cosine is not None for result in results] == [False, False, False, True]
    frozen = ReweightedStep(
        case.network, torch.optim.SGD(case.network.parameters(), lr=0.0), LOSS, meta_gradient_every=2
    )
    train = batch(5)
    first = frozen(train, metas[0])
    second, third = frozen(train, metas[1]), frozen(train, metas[1])
    torch.testing.assert_close(second.scores, first.scores, rtol=1e-9, atol=1e-12)
    assert relative_error(third.scores, first.scores) > 0.01, "the third step looks at its meta batch again"


@pytest.mark.parametrize("lookahead", ["zero", "optimizer"])
def test_second_order_takes_an_earlier_direction(lookahead: str) -> None:
    case, results = make_case("mlp"), []
    for estimator in ("second_order", "per_example"):
        network = copy.deepcopy(case.network)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        step = ReweightedStep(
            network, optimizer, LOSS, estimator=estimator, meta_gradient_every=3, lookahead=lookahead
        )
        results.append([step(case.train, case.meta).scores for _ in range(5)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def _direction_of(step: ReweightedStep) -> Direction:
    assert step._direction is not None
    return step._direction


def test_cosine_of_directions_that_are_held_in_different_ways() -> None:
    """Few meta examples are held as their vectors, many as what these add up to."""
    case = make_case("mlp")
    step = ReweightedStep(case.network, torch.optim.SGD(case.network.parameters(), lr=0.0), LOSS)
    parameters = list(case.network.parameters())

    def gradient(meta: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        parts = torch.autograd.grad(LOSS(case.network(meta[0]), meta[1]).mean(), parameters)
        return torch.cat([part.flatten() for part in parts])

    before, kinds = None, []
    for size in (3, 4, 200, 5, 300, 400):
        meta = batch(size)
        result, now = step(case.train, meta), gradient(meta)
        kinds.append(isinstance(_direction_of(step).parts["1.weight"], OuterSum))
        torch.testing.assert_close(_direction_of(step).norm, now.norm())
        if before is not None:
            torch.testing.assert_close(result.direction_cosine, torch.cosine_similarity(before, now, dim=0))
        before = now
    assert kinds == [True, True, False, True, False, False]


def test_direction_held_as_vectors_is_used_again_after_a_resumption() -> None:
    case = make_case("mlp")

    def fresh() -> ReweightedStep:
        optimizer = torch.optim.SGD(case.network.parameters(), lr=0.0)
        return ReweightedStep(case.network, optimizer, LOSS, meta_gradient_every=3)

    first, second = fresh(), fresh()
    first(case.train, case.meta)
    second.load_state_dict(first.state_dict())
    assert isinstance(_direction_of(second).parts["1.weight"], OuterSum)
    train, other = batch(5), batch(4)
    expected = example_scores(case.network, LOSS, train, case.meta, estimator="forward_mode")
    for step in (first, second):
        assert relative_error(step(train, other).scores, expected) < 1e-9
