"""Everything that the report of a study of design points says, as one typed object."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.comparisons.evidence import Evidence
from l2rw_ray.report.design_points.design_point import DesignPoint, TrialCounts
from l2rw_ray.report.design_points.labels import (
    COST_METRICS,
    HEADLINE,
    TEST_METRICS,
    MetricSpec,
    metric_spec_for,
    validation_metric,
)
from l2rw_ray.report.design_points.setting import CoveringIndex, Factor, Setting
from l2rw_ray.report.document.table import Table
from l2rw_ray.report.search.budgets import SearchBudgets
from l2rw_ray.report.summary import HeadlineNumber, Summary
from l2rw_ray.statistics import Difference, Interval


@dataclass(frozen=True)
class EqualComputeResult:
    """A method at equal training time, averaged over settings within each seed.

    Attributes:
        name: Name of the level of the contrasted factor.
        value: Best validation metric within the budget, with its interval over seeds.
        used: Share of its own training within the budget, averaged over trials.
        comparison: Difference to the control at the budget; None for the control.
    """

    name: str
    value: Interval
    used: float
    comparison: Comparison | None


@dataclass(frozen=True)
class Interaction:
    """How the difference of a treatment to the control changes with another factor.

    Attributes:
        treatment: Name of the level that is compared.
        control: Name of the level it is compared with.
        what: The two levels, or cases, that are compared.
        difference: Difference in the first case minus that in the second, in the unit of the ledger.
        metric: Name of the metric.
        evidence: Further evidence, corrected for all interactions of the study.
        factor: Name of the factor of the levels; empty if the cases are not levels.
        settings: Number of settings of the other factors that both cases share.
        left_out: Number of settings that only one of them has.
    """

    treatment: str
    control: str
    what: str
    difference: Difference
    metric: str = HEADLINE
    evidence: Evidence | None = None
    factor: str = ""
    settings: int = 1
    left_out: int = 0

    @property
    def where(self) -> str:
        """The two cases in words."""
        return f"{self.factor} {self.what}{self.part}".lstrip()

    @property
    def part(self) -> str:
        """The number of settings in words, if some were left out."""
        return f" (in {self.settings} of {self.settings + self.left_out} settings)" if self.left_out else ""

    @property
    def metric_spec(self) -> MetricSpec:
        """Label, unit and format of the metric."""
        return metric_spec_for(self.metric)


@dataclass(frozen=True)
class EffectPoint:
    """A method at one level of a factor, averaged over the other factors within each seed."""

    method: str
    level: Any
    interval: Interval


@dataclass(frozen=True)
class Effect:
    """The headline metric along one factor."""

    factor: Factor
    points: tuple[EffectPoint, ...]


@dataclass(frozen=True)
class Curve:
    """A metric per epoch of a method in a setting, over seeds.

    Attributes:
        method: Name of the method.
        setting: Levels of all factors but the method.
        epochs: Epochs shared by all seeds.
        times_s: Mean wall time until the end of each epoch, evaluation included.
        intervals: Mean and interval of the metric at each epoch.
        metric: Name of the metric.
    """

    method: str
    setting: Setting
    epochs: tuple[float, ...]
    times_s: tuple[float, ...]
    intervals: tuple[Interval, ...]
    metric: str

    @property
    def metric_spec(self) -> MetricSpec:
        """Label, unit and format of the metric."""
        return metric_spec_for(self.metric)


@dataclass(frozen=True, kw_only=True)
class Ablation(Summary):
    """A finished or unfinished study of design points over seeds.

    Attributes:
        factors: All factors but the method.
        methods: Methods in plan order.
        control: The method or level that the others are compared with.
        headline: The method or level of the finding; equal to `control` if there is no other.
        settings: Combinations of levels in plan order; none covers another one.
        points: Design points that have a completed seed.
        comparisons: Paired differences per setting.
        pooled: Paired differences averaged over settings, the headline first.
        effects: The headline metric along each factor.
        curves: Learning curves, on the validation set.
        weight_curves: Metrics of the weights per epoch, by name.
        equal_compute: The methods at equal training time, the control first.
        counts: Planned trials by status.
        interactions: How differences change with other factors.
        answer: The table behind the finding, if the finding is not a difference to the control.
        details: Tables specific to the kind of design.
        budgets: Expected best of each arm of a tuned comparison by the budget of its search.
        multiverse: The finding under other analyses.
        pooling: The finding at single settings, drawn together.
        metric: Name of the headline metric.
        curve_metric: Name of the metric of the curves.
        results: Names of the metrics that have a table, the headline first.
        costs: Names of the metrics of what trials cost.
        is_built_in: Whether trials are those of the built-in trainer.
    """

    factors: tuple[Factor, ...]
    methods: tuple[str, ...]
    control: str
    headline: str
    settings: tuple[Setting, ...]
    points: tuple[DesignPoint, ...]
    comparisons: tuple[Comparison, ...]
    pooled: tuple[Comparison, ...]
    effects: tuple[Effect, ...]
    curves: tuple[Curve, ...]
    counts: TrialCounts
    interactions: tuple[Interaction, ...] = ()
    weight_curves: Mapping[str, tuple[Curve, ...]] = field(default_factory=dict)
    equal_compute: tuple[EqualComputeResult, ...] = ()
    answer: Table | None = None
    details: tuple[Table, ...] = ()
    budgets: SearchBudgets | None = None
    multiverse: Table | None = None
    pooling: Table | None = None
    metric: str = HEADLINE
    curve_metric: str = validation_metric(HEADLINE)
    results: tuple[str, ...] = TEST_METRICS
    costs: tuple[str, ...] = COST_METRICS
    is_built_in: bool = True

    @property
    def metric_spec(self) -> MetricSpec:
        """Label, unit and format of the headline metric."""
        return metric_spec_for(self.metric)

    @property
    def number(self) -> HeadlineNumber | None:
        """The first difference; None where there is another kind of answer, or nothing can be concluded."""
        interval = self.pooled[0].difference.interval if self.pooled and self.answer is None else None
        if interval is None or not interval.is_conclusive:
            return None
        unit = "points" if self.metric_spec.is_share else self.metric_spec.label
        return HeadlineNumber(self.metric_spec.signed(interval.mean), unit, self.pooled[0].is_clear)

    @property
    def has_variants(self) -> bool:
        """Whether settings are variants of one method."""
        return len(self.methods) == 1 and any(factor.path == VARIANT for factor in self.factors)

    def point(self, method: str, setting: Setting) -> DesignPoint | None:
        """Return the design point of a method in a setting; None if no seed completed."""
        points, settings = self._by_method.get(method, ({}, CoveringIndex(())))
        return next((points[found] for found in settings.covering(setting)), None)

    @cached_property
    def _by_method(self) -> dict[str, tuple[dict[Setting, DesignPoint], CoveringIndex]]:
        groups: dict[str, dict[Setting, DesignPoint]] = {}
        for point in self.points:
            groups.setdefault(point.method, {}).setdefault(point.setting, point)
        return {method: (points, CoveringIndex(points)) for method, points in groups.items()}
