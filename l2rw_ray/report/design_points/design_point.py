"""One design point of a report, and the trials that failed or are missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.statistics import Interval


@dataclass(frozen=True)
class DesignPoint:
    """One design point: a method in a setting, over its completed seeds.

    Attributes:
        method: Name of the method, or of the arm of a tuned comparison.
        setting: Levels of all factors but the method.
        by_seed: Finite values by seed, by name of the metric.
        intervals: Mean and interval over those seeds, by name of the metric.
        timing_usable: False if trials shared a GPU, which distorts step times and ratios.
        method_used: Name of the method that its trials used, which a variant may have changed.
    """

    method: str
    setting: Setting
    by_seed: Mapping[str, Mapping[int, float]]
    intervals: Mapping[str, Interval]
    timing_usable: bool
    method_used: str = ""


@dataclass(frozen=True)
class Problem:
    """A trial that failed or was stopped.

    Attributes:
        trial_id: Its fingerprint.
        status: `failed` or `stopped`.
        point: Name of its design point.
        seed: Its seed.
        why: Its error, or the reason why it was stopped.
        log: File with its output, relative to the study folder; None if there is none.
    """

    trial_id: str
    status: str
    point: str
    seed: int
    why: str
    log: str | None = None


@dataclass(frozen=True)
class TrialRow:
    """A planned trial.

    Attributes:
        trial_id: Its fingerprint.
        method: Name of its method, or of its arm in a tuned comparison.
        setting: Levels of all factors but the method.
        seed: Its seed.
        stage: `search` or `final`.
        status: `completed`, `stopped`, `failed` or `missing`.
        metrics: Final metrics by name; for search trials, validation metrics only.
        recorded: Ledger columns about its run.
        method_used: Name of the method it used; empty where it has not run.
    """

    trial_id: str
    method: str
    setting: Setting
    seed: int
    stage: str
    status: str
    metrics: Mapping[str, float]
    recorded: Mapping[str, Any]
    method_used: str = ""


@dataclass(frozen=True)
class TrialCounts:
    """Number of planned trials by status."""

    planned: int
    completed: int
    stopped: int
    failed: int

    @property
    def missing(self) -> int:
        """Planned trials that have not ended."""
        return self.planned - self.completed - self.stopped - self.failed
