"""Checks of scores add up over steps and attempts."""

import torch

from l2rw_ray.events import EpochCompleted
from l2rw_ray.meta import Certificate
from l2rw_ray.methods import StepOutcome
from l2rw_ray.training.score_checks import ScoreChecks


def _certificate(error: float, estimator: str = "finite_difference") -> Certificate:
    return Certificate(estimator, error, 0.0, 0.0, tolerance=0.01, is_valid=True)


def _outcome(certificate: Certificate | None = None, estimator: str | None = None) -> StepOutcome:
    return StepOutcome(torch.zeros(()), None, estimator=estimator, certificate=certificate)


def test_the_worst_check_counts_and_each_counts_once() -> None:
    checks = ScoreChecks()
    assert (checks.estimator, checks.metrics) == (None, {})
    first, second, third = (_certificate(error) for error in (0.002, 0.005, 0.002))
    for certificate in (first, first, None, second, second, third):
        checks.add(_outcome(certificate, "finite_difference" if certificate else None))
    assert checks.estimator == "finite_difference"
    assert checks.metrics == {"certificate_error": 0.005, "certificates": 3}


def test_the_estimator_is_that_of_the_latest_scores() -> None:
    checks = ScoreChecks()
    checks.add(_outcome(_certificate(0.009), "finite_difference"))
    checks.add(_outcome(_certificate(1e-7, "forward_mode"), "forward_mode"))
    checks.add(_outcome())
    assert checks.estimator == "forward_mode"
    assert checks.metrics == {"certificate_error": 0.009, "certificates": 2}


def test_a_later_attempt_goes_on_from_the_last_epoch() -> None:
    checks = ScoreChecks()
    metrics = {"train_loss": 1.0, "certificate_error": 0.004, "certificates": 2.0}
    checks.resume(EpochCompleted("", 3, 30, 1.0, metrics, estimator_used="ghost"))
    assert (checks.estimator, checks.metrics) == ("ghost", {"certificate_error": 0.004, "certificates": 2})
    checks.add(_outcome(_certificate(0.001), "finite_difference"))
    assert checks.metrics == {"certificate_error": 0.004, "certificates": 3}


def test_a_later_attempt_of_a_trial_of_an_earlier_release_starts_from_nothing() -> None:
    checks = ScoreChecks()
    checks.resume(EpochCompleted("", 1, 10, 1.0, {"train_loss": 1.0}))
    assert (checks.estimator, checks.metrics) == (None, {})
