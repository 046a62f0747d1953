"""Signs of weights gone wrong: each is told once, with what to do."""

import logging

import pytest
import torch

from l2rw_ray.meta import (
    HealthMonitor,
    ReweightedStep,
    WeightHealth,
    effective_sample_size,
    example_scores,
    failure_signatures,
)
from l2rw_ray.meta.diagnostics import weight_share
from tests.meta.networks import LOSS, make_case


def test_signed_weights_are_judged_by_their_magnitude() -> None:
    weights = torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert effective_sample_size(weights) == 4
    assert weight_share(weights, torch.tensor([True, True, False, False])) == 0.5


@pytest.mark.parametrize(
    ("health", "name", "advice"),
    [
        (WeightHealth(0.3, 0.3), "skipped_steps", "clean or balance the meta set"),
        (WeightHealth(0.0, 0.02), "few_examples", "lower the learning rate"),
        (WeightHealth(0.0, 0.3, direction_cosine=-0.2), "restless_direction", "larger meta set"),
        (WeightHealth(0.0, 0.3, 0.9, 0.5, 0.4), "trusted_corruption", "check the labels"),
    ],
)
def test_each_failure_signature_says_what_to_do(health: WeightHealth, name: str, advice: str) -> None:
    (found,) = failure_signatures(health)
    assert found.name == name
    assert advice in found.message


def test_healthy_weights_raise_no_warning() -> None:
    assert not failure_signatures(WeightHealth(0.01, 0.3, 0.8, 0.1, 0.4))


def test_a_step_warns_once_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    case = make_case("mlp", train_size=6)
    u = example_scores(case.network, LOSS, case.train, case.meta)
    bad = (case.train[0][u < 0], case.train[1][u < 0])
    step = ReweightedStep(case.network, torch.optim.SGD(case.network.parameters(), lr=0.1), LOSS)
    step._monitor = HealthMonitor(window=2)
    with caplog.at_level(logging.WARNING):
        for _ in range(6):
            step(bad, case.meta)
    assert [signature.name for signature in step.warnings] == ["skipped_steps"]
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "after 2 steps: no example had a positive weight on 100% of the steps"
    )
