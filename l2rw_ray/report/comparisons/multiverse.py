"""The finding under other analyses: other metrics, tests and rules for failures, and without each seed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.comparisons.contrast import Contrast, HasSetting, compare_pooled
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.labels import TEST_METRICS, count, p_text
from l2rw_ray.report.document.interval_cells import EMPTY, difference_cell
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.statistics import Interval, mean_interval
from l2rw_ray.statistics.posterior import (
    probability_above,
    probability_within,
)
from l2rw_ray.statistics.proportion import exact_proportion_interval
from l2rw_ray.statistics.significance import paired_t_test, sign_flip_test, signed_rank_test

_SEED = 0  # of random sign flips
_FEWEST = 3


def multiverse_table(
    contrast: Contrast,
    points: Sequence[DesignPoint],
    planned: Sequence[HasSetting],
    pooled: Sequence[Comparison],
    margin: float | None = None,
    metrics: Sequence[str] = TEST_METRICS,
) -> Table | None:
    """Return what the finding would be, analysed otherwise; None without one over three seeds.

    Args:
        contrast: What is compared.
        points: Design points.
        planned: All planned trials.
        pooled: Comparisons averaged over settings, that of the finding first.
        margin: Difference that does not matter, if one was registered.
        metrics: Names of all metrics of results.
    """
    finding = next(iter(pooled), None)
    if finding is None or finding.difference.ranked or len(finding.difference.values) < _FEWEST:
        return None
    rows = [
        _row("as in the finding: t test", finding, finding.difference.values),
        *_with_this_test_set(finding),
        *_other_tests(finding),
        *_without_each_seed(finding),
        *_failures(contrast, points, planned, finding),
        *_other_metrics(contrast, points, planned, finding, metrics),
        *_probabilities(finding, margin),
    ]
    return Table(
        key="multiverse",
        title=f"The finding under other analyses: {finding.treatment} against {finding.control}",
        corner="analysis",
        columns=("difference", "p (alone)"),
        rows=tuple(rows),
        note=(
            "p values are not corrected: these rows show whether the finding rests on one choice of "
            "analysis. None of them replaces it. A probability of being better is the posterior of a flat "
            "prior; with few seeds it is too sure."
        ),
    )


def _row(name: str, comparison: Comparison, values: Sequence[float], p: float | None = None) -> TableRow:
    known = p if p is not None else paired_t_test(values, comparison.difference.example_variance)
    cell = difference_cell(comparison.metric_spec, comparison.difference.interval)
    return TableRow(name, (cell, TableCell(p_text(known))))


def _with_this_test_set(finding: Comparison) -> list[TableRow]:
    """Return the finding without the error of its test examples; nothing if it does not include that."""
    if finding.difference.example_error is None:
        return []
    values = finding.difference.values
    name = "over seeds alone, with this test set"
    return [_row(name, _with(finding, mean_interval(values)), values, paired_t_test(values))]


def _other_tests(finding: Comparison) -> list[TableRow]:
    values, rng = finding.difference.values, np.random.default_rng(_SEED)
    return [
        _row("sign-flip test", finding, values, sign_flip_test(values, rng)),
        _row("signed ranks (Wilcoxon)", finding, values, signed_rank_test(values, rng)),
    ]


def _without_each_seed(finding: Comparison) -> list[TableRow]:
    """Return the finding without the seed that supports it most, whatever its sign."""
    values = finding.difference.values
    rest = [values[:place] + values[place + 1 :] for place in range(len(values))]
    variance = finding.difference.example_variance
    p_values = [paired_t_test(each, variance) for each in rest]
    known = {place: p for place, p in enumerate(p_values) if p is not None}
    if not known:
        return []
    weakest = max(known, key=lambda place: known[place])
    found = _with(finding, mean_interval(rest[weakest], example_variance=variance))
    return [_row("without the seed that supports it most", found, rest[weakest])]


def _failures(
    contrast: Contrast, points: Sequence[DesignPoint], planned: Sequence[HasSetting], finding: Comparison
) -> list[TableRow]:
    """Return the finding with other rules for runs that diverged; nothing where none did."""
    if finding.survivors is None:
        return []
    name, metric = "runs that diverged count as", finding.metric
    as_zero = [
        replace(point, by_seed={metric: {**point.by_seed[metric], **dict.fromkeys(point.diverged, 0.0)}})
        for point in points
        if metric in point.by_seed
    ]
    rows = []
    if finding.survivors.interval is not None:
        survivors = replace(finding, difference=finding.survivors)
        rows.append(_row("without seeds at which a run diverged", survivors, finding.survivors.values))
    zero = _same(compare_pooled(contrast, as_zero, planned, metric), finding)
    return [*rows, *([_row(f"{name} 0", zero, zero.difference.values)] if zero is not None else [])]


def _other_metrics(
    contrast: Contrast,
    points: Sequence[DesignPoint],
    planned: Sequence[HasSetting],
    finding: Comparison,
    metrics: Sequence[str],
) -> list[TableRow]:
    rows = []
    for metric in metrics:
        if metric != finding.metric and any(metric in point.by_seed for point in points):
            other = _same(compare_pooled(contrast, points, planned, metric), finding)
            if other is not None:
                rows.append(_row(f"in {other.metric_spec.label}", other, other.difference.values))
    return rows


def _probabilities(finding: Comparison, margin: float | None) -> list[TableRow]:
    """Return how often and how probably the treatment is better, and negligible if a margin is known."""
    sign = -1 if finding.metric_spec.less_is_better else 1
    gains = [sign * value for value in finding.difference.values]
    better = sum(gain > 0 for gain in gains)
    low, high = exact_proportion_interval(better, len(gains))
    of = f"{better} of {count(len(gains), 'seed')} ({100 * low:.0f} to {100 * high:.0f} %)"
    rows = [TableRow("better at", (TableCell(of), EMPTY))]
    probability = probability_above(gains)
    if probability is not None:
        rows.append(TableRow("probability of being better", (_percent(probability), EMPTY)))
    within = probability_within(gains, margin) if margin is not None else None
    if within is not None and margin is not None:
        name = f"probability of a difference below {finding.metric_spec.amount(margin)}"
        rows.append(TableRow(name, (_percent(within), EMPTY)))
    return rows


def _percent(probability: float) -> TableCell:
    return TableCell(f"{min(max(100 * probability, 0.1), 99.9):.1f} %")


def _with(finding: Comparison, interval: Interval) -> Comparison:
    return replace(finding, difference=replace(finding.difference, interval=interval))


def _same(found: Sequence[Comparison], finding: Comparison) -> Comparison | None:
    """Return the comparison of the same two levels, if it has a mean."""
    same = (each for each in found if each.treatment == finding.treatment)
    known = next(same, None)
    usable = known is not None and known.difference.interval is not None and not known.difference.ranked
    return known if usable else None
