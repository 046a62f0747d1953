"""Word the headline of a report: what was found, with its uncertainty, in one sentence."""

from collections.abc import Sequence

from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.comparisons.contrast import Contrast
from l2rw_ray.report.comparisons.evidence import Evidence
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.labels import MINUS, count, metric_spec_for, p_text
from l2rw_ray.statistics import Difference, Interval
from l2rw_ray.statistics.intervals import is_constant
from l2rw_ray.statistics.power import deviation_to_plan_with, left_to_seeds, seeds_to_detect

_LEVEL = 0.05
_MAX_SEEDS = 1000
"""Largest number of seeds that a new study is imagined with."""


def findings(
    contrast: Contrast,
    pooled: Sequence[Comparison],
    points: Sequence[DesignPoint],
    metric: str,
    answer: str | None = None,
) -> tuple[str, ...]:
    """Return the headline of a report, then its further findings, each a sentence without a full stop.

    Args:
        contrast: What is compared with what.
        pooled: Comparisons averaged over settings, the most important first.
        points: The design points.
        metric: Name of the metric.
        answer: The headline of a design that asks for no comparison; None for the first comparison.
    """
    sentences = tuple(sentence(comparison) for comparison in pooled)
    if answer is not None:
        return answer, *sentences
    return headline(contrast, pooled, points, metric), *sentences[1:]


def headline(
    contrast: Contrast, pooled: Sequence[Comparison], points: Sequence[DesignPoint], metric: str
) -> str:
    """Return the answer of a study in one sentence without a full stop.

    Args:
        contrast: What is compared with what.
        pooled: Comparisons averaged over settings, the headline first.
        points: The design points.
        metric: Name of the metric.
    """
    if points and not any(contrast.level_of(point) == contrast.control for point in points):
        control = contrast.name(contrast.control)
        return f"no final trial of {control} completed: there is nothing to compare with yet"
    if pooled:
        return sentence(pooled[0])
    measured = [point for point in points if metric in point.intervals]
    if not measured:
        return "no trial with test metrics completed: nothing can be concluded"
    if len(measured) > 1:
        return "no seed completed in both of two levels: nothing can be compared"
    metric_spec, interval = metric_spec_for(metric), measured[0].intervals[metric]
    value = f"{metric_spec.text(interval.mean)} {metric_spec.unit}".rstrip()
    certainty = "one seed"
    if interval.is_conclusive:
        certainty = f"95 % interval {metric_spec.limits(interval)}, {count(interval.n, 'seed')}"
    point = measured[0]
    is_variant = contrast.factor.path == VARIANT
    name = contrast.name(contrast.level_of(point)) if is_variant else point.method
    found = f"{name}: {value} {metric_spec.label} ({certainty})"
    return f"{found}; there is nothing to compare it with"


def sentence(comparison: Comparison) -> str:
    """Return what a comparison shows, with its uncertainty, in one sentence without a full stop."""
    interval = comparison.difference.interval
    names = f"{comparison.treatment} {MINUS} {comparison.control}"
    runs = "".join(f"; {text}" for text in _runs(comparison))
    if interval is None:
        return f"{names}: no seed completed at every setting of both: nothing can be compared{runs}"
    if comparison.difference.ranked:
        return f"{names}: {_ranked(comparison)}{runs}"
    return _measured(comparison, names, interval) + runs


def _measured(comparison: Comparison, names: str, interval: Interval) -> str:
    """Return what a difference with a mean shows."""
    metric_spec = comparison.metric_spec
    found = f"{names}: {metric_spec.signed(interval.mean)} {metric_spec.of_difference}"
    averaged = _averaged(comparison)
    if not interval.is_conclusive:
        return f"{found}{averaged} (one seed: nothing can be concluded)"
    limits = metric_spec.signed_limits(interval)
    found += f" (95 % interval {limits}{_over(comparison.difference, interval)}, paired{averaged})"
    if not any(comparison.difference.values):
        return f"{found}: both are equal at every seed"
    if is_constant(comparison.difference.values):
        return f"{found}: the same at every seed, so its error is unknown"
    evidence = comparison.evidence
    if interval.excludes_zero and (evidence is None or evidence.p_corrected is None or evidence.is_clear):
        return found
    return f"{found}: {_not_shown(comparison.difference, evidence)}"


def _over(difference: Difference, interval: Interval) -> str:
    """Return what the interval is over."""
    seeds, error = count(interval.n, "seed"), difference.example_error
    return f", {seeds}" if error is None else f" over {seeds} and {count(error.examples, 'test example')}"


def _ranked(comparison: Comparison) -> str:
    """Return what ranks show where runs diverged and the metric has no worst value."""
    evidence, metric_spec = comparison.evidence, comparison.metric_spec
    p = evidence.p_corrected if evidence is not None else None
    verdict = "shown" if evidence is not None and evidence.is_clear else "not shown"
    seeds = count(len(comparison.difference.ranked), "seed")
    return (
        f"a difference in {metric_spec.label} is {verdict} by ranks in which runs that diverged are last "
        f"(p {p_text(p)}, {seeds}, paired{_averaged(comparison)})"
    )


def _runs(comparison: Comparison) -> list[str]:
    """Return which seeds diverged, what the others show, and which are missing."""
    diverged = [text for runs in comparison.runs if (text := runs.divergence)]
    parts = []
    if diverged:
        counted = (
            "" if comparison.difference.ranked else f", counted as {comparison.metric_spec.of_divergence}"
        )
        parts.append(" and ".join(diverged) + counted)
    survivors = comparison.survivors.interval if comparison.survivors is not None else None
    if survivors is not None:
        metric_spec = comparison.metric_spec
        limits = f"{metric_spec.signed_limits(survivors)}, " if survivors.is_conclusive else ""
        value = f"{metric_spec.signed(survivors.mean)} ({limits}{count(survivors.n, 'seed')})"
        parts.append(f"among seeds of which no run diverged {value}")
    gaps = [text for runs in comparison.runs if (text := runs.gap)]
    if gaps:
        parts.append(f"incomplete: {' and '.join(gaps)} failed, stopped or were not run")
    return parts


def _not_shown(difference: Difference, evidence: Evidence | None) -> str:
    """Return that a difference was not shown, and how many seeds of a new study could show its size."""
    interval = difference.interval
    assert interval is not None
    family = max(1, evidence.family if evidence else 1)
    if evidence is not None and evidence.p is not None and evidence.p * family < _LEVEL:
        return "not claimed, since what is tested before it is not shown"
    among = f" among {family} comparisons" if interval.excludes_zero else ""
    deviation, alpha = deviation_to_plan_with(difference.values), _LEVEL / family
    seeds = f"not shown with {count(interval.n, 'seed')}{among}"
    left = left_to_seeds(interval.mean, difference.example_variance, alpha=alpha)
    if not left and difference.example_error is not None:
        examples = count(difference.example_error.examples, "test example")
        return f"{seeds}, nor could any number of seeds show a difference of this size on {examples}"
    needed = seeds_to_detect(left, deviation, alpha=alpha, most=_MAX_SEEDS)
    if needed is None:
        return f"{seeds}, nor would {_MAX_SEEDS} of a new study show a difference of this size"
    return f"{seeds}; a new study planned with {needed} could show a difference of this size"


def _averaged(comparison: Comparison) -> str:
    basis = f", {comparison.basis}" if comparison.basis else ""
    if comparison.settings < comparison.planned_settings:
        return f", averaged over {comparison.settings} of {comparison.planned_settings} settings{basis}"
    return (f", averaged over {comparison.settings} settings" if comparison.settings > 1 else "") + basis
