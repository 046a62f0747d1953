"""What a report says, as one typed object; every table, metric and sentence renders from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.comparisons.evidence import Evidence
from l2rw_ray.report.design_points.design_point import DesignPoint, TrialCounts
from l2rw_ray.report.design_points.labels import HEADLINE, METRICS, MetricSpec, metric_spec_for
from l2rw_ray.report.design_points.setting import Factor, Setting
from l2rw_ray.report.document.table import Table
from l2rw_ray.report.summary import HeadlineNumber, Summary
from l2rw_ray.statistics import Difference, Interval


@dataclass(frozen=True)
class EqualComputeResult:
    """One method at equal training time, averaged over settings within each seed.

    Attributes:
        name: Readable level of the contrasted factor.
        value: Validation metric at the budget, with its interval over seeds.
        used: Share of its own training time that the budget allows, the mean over trials.
        comparison: Difference to the control at the budget; None for the control.
    """

    name: str
    value: Interval
    used: float
    comparison: Comparison | None


@dataclass(frozen=True)
class Interaction:
    """How a treatment's difference to the control changes with something else.

    Attributes:
        treatment: Readable level that is compared.
        control: Readable level it is compared with.
        what: The two levels, or circumstances, that are set against each other.
        difference: Difference in the first less difference in the second, in the ledger's unit.
        metric: Name of the metric.
        evidence: What else is known of it, all interactions of the study considered.
        factor: Name of the factor whose levels they are; empty where they are of none.
        settings: How many settings of the other factors both circumstances have.
        left_out: Settings that only one of them has.
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
        """The circumstances in words."""
        return f"{self.factor} {self.what}{self.part}".lstrip()

    @property
    def part(self) -> str:
        """How many settings it is of, where not of all."""
        return f" (in {self.settings} of {self.settings + self.left_out} settings)" if self.left_out else ""

    @property
    def metric_spec(self) -> MetricSpec:
        """How the metric is shown."""
        return METRICS[self.metric]


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
    """A metric per epoch of one method in one setting, over seeds.

    Attributes:
        method: Name of the method.
        setting: Levels of all factors but the method.
        epochs: Epochs that all seeds have.
        times_s: Mean wall time from the start of training to the end of each, evaluation included.
        intervals: Mean and interval of the metric there.
        metric: Name of the metric.
    """

    method: str
    setting: Setting
    epochs: tuple[int, ...]
    times_s: tuple[float, ...]
    intervals: tuple[Interval, ...]
    metric: str

    @property
    def metric_spec(self) -> MetricSpec:
        """How the metric is shown."""
        return metric_spec_for(self.metric)


@dataclass(frozen=True, kw_only=True)
class Ablation(Summary):
    """A finished or unfinished study of design points over seeds.

    Attributes:
        factors: All factors but the method.
        methods: Methods in plan order.
        control: The method or level the others are compared with.
        headline: The method or level the finding is about; equal to `control` where there is no other.
        settings: Combinations of the factors' levels in plan order; none that covers another one.
        points: Design points that have a completed seed.
        comparisons: Paired differences per setting.
        pooled: Paired differences averaged over settings, the headline first.
        effects: The headline metric along each factor.
        curves: Learning curves, on the validation set.
        weight_curves: How the weights behaved per epoch, by name of the metric.
        equal_compute: The methods at equal training time, the control first.
        counts: What became of the planned trials.
        interactions: How differences change with other factors.
        answer: A table that the finding rests on, where that is no difference to the control.
        details: Tables that only this kind of design has.
        metric: Name of the headline metric.
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
    metric: str = HEADLINE

    @property
    def metric_spec(self) -> MetricSpec:
        """How the headline metric is shown."""
        return METRICS[self.metric]

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
        """Whether settings are variants, which may be other methods than the one they are variants of."""
        return len(self.methods) == 1 and any(factor.path == VARIANT for factor in self.factors)

    def point(self, method: str, setting: Setting) -> DesignPoint | None:
        """The design point of a method in a setting, None where no seed of it completed."""
        found = (point for point in self.points if point.method == method and point.setting.covers(setting))
        return next(found, None)
