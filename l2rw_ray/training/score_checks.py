"""What the checks of a trial's scores found, over all its attempts."""

from l2rw_ray.events import EpochCompleted
from l2rw_ray.meta import Certificate
from l2rw_ray.methods import StepOutcome


class ScoreChecks:
    """Collects which estimator computed a trial's scores, and how far checks found them off.

    A trial that resumes checks its estimator again, so that its checks are not those of an undisturbed one.
    All ranks collect the same, since a certificate is of all of them.

    Attributes:
        estimator: Name of the estimator that computed the latest scores; None before there are any.
    """

    def __init__(self) -> None:
        self.estimator: str | None = None
        self._latest: Certificate | None = None
        self._metrics: dict[str, float] = {}

    @property
    def metrics(self) -> dict[str, float]:
        """`certificate_error` and `certificates` of the trial so far; empty before the first check."""
        return dict(self._metrics)

    def add(self, outcome: StepOutcome) -> None:
        """Count a step."""
        self.estimator = outcome.estimator or self.estimator
        found = outcome.certificate
        if found is None or found is self._latest:
            return
        self._latest = found
        self._metrics = {
            "certificate_error": max(found.score_error, self._metrics.get("certificate_error", 0.0)),
            "certificates": 1 + self._metrics.get("certificates", 0),
        }

    def resume(self, last: EpochCompleted) -> None:
        """Go on from the last epoch of an earlier attempt."""
        self.estimator = last.estimator_used
        self._metrics = {
            name: last.metrics[name] for name in ("certificate_error", "certificates") if name in last.metrics
        }
