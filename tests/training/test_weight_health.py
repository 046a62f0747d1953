"""Warnings of a trial: only for methods that follow a meta set, each with what to do."""

from l2rw_ray.events import TrialEnded
from l2rw_ray.training.weight_health import health_warnings
from tests.training.conftest import MakeTrial, train

HEALTHY = {
    "direction_cosine": 0.8,
    "skipped_fraction": 0.0,
    "effective_sample_size": 20.0,
    "corrupted_weight_share": 0.1,
}


def test_healthy_weights_raise_no_warning() -> None:
    assert health_warnings([HEALTHY, HEALTHY], batch_size=64, corrupted_fraction=0.4) == ()


def test_each_sign_is_told_with_its_remedy() -> None:
    epochs = [
        HEALTHY | {"skipped_fraction": 0.5, "effective_sample_size": 1.5},
        {"direction_cosine": -0.5, "skipped_fraction": 1.0},
        {"direction_cosine": -0.5, "corrupted_weight_share": 0.9},
    ]
    skipped, few, restless, trusted = health_warnings(epochs, batch_size=64, corrupted_fraction=0.4)
    assert skipped.startswith("no example had a positive weight on 75% of the steps: clean or balance")
    assert few.startswith("2.3% of a batch carry the step: lower the learning rate")
    assert restless.startswith("successive directions have a cosine of -0.07: take a larger meta set")
    assert trusted.startswith("corrupted examples are 40% of the batch and have 50% of the weight: check")


def test_methods_that_follow_no_direction_are_not_judged() -> None:
    assert health_warnings([{"corrupted_weight_share": 0.9}], batch_size=64, corrupted_fraction=0.4) == ()


def test_a_trial_with_a_tiny_meta_batch_ends_with_a_warning(make_trial: MakeTrial) -> None:
    ended = train(make_trial(method__meta_batch_size=1))[-1]
    assert isinstance(ended, TrialEnded)
    (warning,) = ended.warnings
    assert warning.endswith("take a larger meta set or meta batch, or lower the learning rate")
    calm = train(make_trial(method__name="random"))[-1]
    assert isinstance(calm, TrialEnded)
    assert calm.warnings == ()
