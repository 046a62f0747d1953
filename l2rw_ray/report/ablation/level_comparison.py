"""Compare any two levels of a study, as its report compares each level with the control."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from markupsafe import escape

from l2rw_ray.errors import InputError
from l2rw_ray.printable import printable
from l2rw_ray.report.ablation.headline import sentence
from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.comparisons.comparison import Comparison, with_evidence
from l2rw_ray.report.comparisons.contrast import Contrast, compare, compare_pooled
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.points import METHOD_FACTOR, plain
from l2rw_ray.report.design_points.setting import Factor, Setting


@dataclass(frozen=True, repr=False)
class PairedComparison:
    """The paired difference between two levels, treatment minus control.

    Values are in the unit of the ledger: 0.05 of an accuracy is 5 points.

    Attributes:
        treatment: Name of the level that is compared.
        control: Name of the level it is compared with.
        metric: Name of the metric.
        difference: Mean difference over seeds; None if no seed completed at both levels.
        low: Lower limit of its 95 % t interval; None with fewer than two pairs.
        high: Upper limit.
        n: Number of pairs, one per seed.
        p: Two-sided p value of the paired t test; None with one pair, or without variation.
        p_adjusted: The p value, corrected as in the report where the report compares these two, else by
            Holm for every other level of the factor with the control.
        family: Number of comparisons that it is corrected for.
        effect_size: Hedges' g; None with too few pairs.
        is_clear: Whether `p_adjusted` is below 0.05.
        test_examples: Number of test examples that interval and p value are over besides the seeds; 0 where
            they are over the seeds alone.
        where: The setting of the other factors in words, or the number of settings averaged.
        values: The difference at each seed, seeds ascending.
        by_setting: The same in each setting of the other factors, corrected for all of them; empty where
            there is one.
        text: What was found, in a sentence without a full stop.
        drawn: What a notebook draws: the comparison of the report in each setting, then the average.
    """

    treatment: str
    control: str
    metric: str
    difference: float | None
    low: float | None
    high: float | None
    n: int
    p: float | None
    p_adjusted: float | None
    family: int
    effect_size: float | None
    is_clear: bool
    test_examples: int
    where: str
    values: tuple[float, ...]
    text: str
    by_setting: tuple["PairedComparison", ...] = ()
    drawn: tuple[Comparison, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, comparison: Comparison, by_setting: Sequence[Comparison] = ()) -> "PairedComparison":
        """Return a comparison of the report as plain values."""
        interval, evidence = comparison.difference.interval, comparison.evidence
        error = comparison.difference.example_error
        limits = (interval.low, interval.high) if interval and interval.is_conclusive else (None, None)
        return cls(
            treatment=comparison.treatment,
            control=comparison.control,
            metric=comparison.metric,
            difference=None if interval is None else interval.mean,
            low=limits[0],
            high=limits[1],
            n=0 if interval is None else interval.n,
            p=None if evidence is None else evidence.p,
            p_adjusted=None if evidence is None else evidence.p_corrected,
            family=0 if evidence is None else evidence.family,
            effect_size=None if evidence is None else evidence.effect_size,
            is_clear=comparison.is_clear,
            test_examples=0 if error is None else error.examples,
            where=comparison.where,
            values=comparison.difference.values,
            text=sentence(comparison),
            by_setting=tuple(map(cls.of, by_setting)),
            drawn=(*by_setting, comparison),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        own = {name: value for name, value in vars(self).items() if name not in ("by_setting", "drawn")}
        return own | {"values": list(self.values), "by_setting": [each.as_dict() for each in self.by_setting]}

    def __repr__(self) -> str:
        return printable(self.text)

    def _repr_html_(self) -> str:
        from l2rw_ray.report.notebook_plots import comparison_plot

        return escape(f"{self.text}.") + comparison_plot(self.drawn)


def compare_levels(
    summary: Ablation,
    treatment: object,
    control: object,
    factor: str | None = None,
    metric: str | None = None,
) -> PairedComparison:
    """Compare two levels of a factor by paired differences, averaged over the settings of other factors.

    Where the report compares these two, the statistics are those of the report.

    Args:
        summary: The study.
        treatment: The level that is compared.
        control: The level it is compared with.
        factor: Path of the factor; None for the first one that has both levels.
        metric: Name of a metric; None for the headline metric.

    Raises:
        InputError: There is no such factor, level or metric, or no design point with it.
    """
    metric = metric or summary.metric
    known = {name for point in summary.points for name in point.by_seed}
    if metric not in known:
        raise InputError(
            "metric", metric, "no metric of this study", f"use one of {', '.join(sorted(known))}"
        )
    treatment, control = plain(treatment), plain(control)
    found = _factor_of(summary, treatment, control, factor)
    others = tuple(level for level in found.levels if level != control)
    contrast = Contrast(found, control, others)
    names = contrast.name(treatment), contrast.name(control)
    if metric == summary.metric and any(_is_of(each, names) for each in summary.pooled):
        pooled, settings = summary.pooled, summary.comparisons
    else:
        points = _points_of(summary, found)
        pooled = with_evidence(compare_pooled(contrast, points, points, metric))
        settings = with_evidence(compare(contrast, points, metric))
    own = next((each for each in pooled if _is_of(each, names)), None)
    if own is None:
        problem = "no setting has trials of both that completed"
        raise InputError("treatment", treatment, problem, "run the study's missing trials")
    by_setting = [each for each in settings if _is_of(each, names)]
    return PairedComparison.of(own, by_setting if own.settings > 1 else ())


def _points_of(summary: Ablation, factor: Factor) -> Sequence[DesignPoint]:
    """Return the design points; where another factor is compared, the method is part of their settings."""
    if factor.path == METHOD_FACTOR or len(summary.methods) == 1:
        return summary.points
    return [
        replace(point, setting=Setting(((METHOD_FACTOR, point.method), *point.setting.levels)))
        for point in summary.points
    ]


def _is_of(comparison: Comparison, names: tuple[str, str]) -> bool:
    return (comparison.treatment, comparison.control) == names


def _factor_of(summary: Ablation, treatment: object, control: object, path: str | None) -> Factor:
    """Return the factor that has both levels."""
    factors: Mapping[str, Factor] = {
        each.path: each for each in (Factor(METHOD_FACTOR, summary.methods), *summary.factors)
    }
    if path is not None and path not in factors:
        raise InputError("factor", path, "no factor of this study", f"use one of {', '.join(factors)}")
    if treatment == control:
        raise InputError("treatment", treatment, "it is the control", "name two levels")
    for each in [factors[path]] if path is not None else factors.values():
        if treatment in each.levels and control in each.levels:
            return each
    shown = "; ".join(f"{each.path}: {', '.join(map(str, each.levels))}" for each in factors.values())
    is_known = any(treatment in each.levels for each in factors.values())
    field, level = ("control", control) if is_known else ("treatment", treatment)
    raise InputError(field, level, "no level of the same factor", f"use two of {shown}")
