"""Directions and smoothed scores that outlive a step."""

import pytest
import torch

from l2rw_ray.errors import InputError
from l2rw_ray.meta import ReweightedStep, example_scores
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


def test_second_order_keeps_no_direction() -> None:
    case = make_case("mlp")
    optimizer = torch.optim.SGD(case.network.parameters(), lr=0.1)
    step = ReweightedStep(case.network, optimizer, LOSS, estimator="second_order", meta_gradient_every=2)
    step(case.train, case.meta)
    with pytest.raises(InputError, match="use meta_gradient_every=1"):
        step(case.train, case.meta)
