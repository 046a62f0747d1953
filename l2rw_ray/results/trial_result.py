"""How a trial ended, as far as a study's next step depends on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from l2rw_ray.events import status_of_error

INTERRUPTED = "interrupted"
"""Stop reason: interrupted by the user. The trial resumes in the next run."""
SCHEDULER = "scheduler"
"""Stop reason: pruned by the scheduler."""


WEIGHTED = "effective_sample_size"
"""A metric that every method with weights has, and no other."""


def with_costs(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return final metrics, with an overhead ratio of 1 for methods without weights."""
    has_weights = metrics.get(WEIGHTED) is not None
    known = {name: value for name, value in metrics.items() if value is not None}
    return dict(metrics) if has_weights else {**metrics, "overhead_ratio": 1.0, **known}


def status_of(row: Mapping[str, Any]) -> str:
    """Return how a trial ended, from its row; up to schema 5 a diverged trial was written as failed."""
    error = str(row.get("error") or "")
    return str(status_of_error(error)) if row["status"] == "failed" else str(row["status"])


@dataclass(frozen=True, slots=True)
class TrialResult:
    """How a trial ended.

    Attributes:
        status: `completed`, `stopped`, `diverged` or `failed`.
        reason: Why a stopped trial stopped.
        duration_s: Wall time of its training, evaluation and measurement.
        metrics: Final metrics by name, of those requested.
        classes: Number of classes of its data; None for a regression, and where it is not known.
    """

    status: str
    reason: str | None = None
    duration_s: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    classes: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether the trial is done, unless failed ones are retried."""
        return self.reason != INTERRUPTED
