"""One design point of a report, and the trials that failed or are missing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from l2rw_ray.report.design_points.labels import metric_spec_for
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.statistics import Interval

if TYPE_CHECKING:
    from l2rw_ray.report.design_points.example_results import ExampleResults


@dataclass(frozen=True)
class DesignPoint:
    """One design point: a method in a setting, over its seeds that completed or diverged.

    Attributes:
        method: Name of the method, or of the arm of a tuned comparison.
        setting: Levels of all factors but the method.
        by_seed: Finite values by seed, by name of the metric; of a seed that diverged, chance level for test
            metrics that have one.
        intervals: Mean and interval over those seeds, by name of the metric.
        timing_usable: False if trials shared a GPU, which distorts step times and ratios.
        method_used: Name of the method that its trials used, which a variant may have changed.
        diverged: Seeds whose training produced NaN or infinity.
        survivors: Values of the completed seeds only, by name of the test metric; empty where none diverged.
        tested: Outcome of each test example, by seed, of the trials whose ledger has it.
    """

    method: str
    setting: Setting
    by_seed: Mapping[str, Mapping[int, float]]
    intervals: Mapping[str, Interval]
    timing_usable: bool
    method_used: str = ""
    diverged: frozenset[int] = frozenset()
    survivors: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    tested: Mapping[int, "ExampleResults"] = field(default_factory=dict)

    def ranked(self, metric: str) -> Mapping[int, float]:
        """Return the values of a metric by seed, infinitely bad where it diverged."""
        worst = math.inf if metric_spec_for(metric).less_is_better else -math.inf
        return {**self.by_seed.get(metric, {}), **dict.fromkeys(self.diverged, worst)}


@dataclass(frozen=True)
class Problem:
    """A trial that diverged, failed or was stopped.

    Attributes:
        trial_id: Its fingerprint.
        status: `diverged`, `failed` or `stopped`.
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
        status: `completed`, `stopped`, `diverged`, `failed` or `missing`.
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
    diverged: int = 0

    @property
    def missing(self) -> int:
        """Planned trials that have not ended."""
        return self.planned - self.completed - self.stopped - self.failed - self.diverged
