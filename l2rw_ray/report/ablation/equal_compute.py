"""Comparison of methods at equal training time: that of the shortest training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose
from statistics import fmean

import numpy as np

from l2rw_ray.report.ablation.effects import Histories, History
from l2rw_ray.report.ablation.summary import Ablation, EqualComputeResult
from l2rw_ray.report.comparisons.comparison import Comparison, with_evidence
from l2rw_ray.report.comparisons.contrast import Contrast, Pair, pairs_of
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.labels import MetricSpec, metric_spec_for, p_text
from l2rw_ray.report.design_points.setting import CoveringIndex, Setting
from l2rw_ray.report.document.interval_cells import EMPTY, difference_cell, mean_cell
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.statistics import Interval, mean_interval, pooled_paired_difference

_UNEQUAL = (
    " Each difference is over the settings and seeds that the two share; the value in the first row is over "
    "those shared with the most complete other row. Values therefore need not differ by what is printed."
)
BySeed = dict[int, float]


@dataclass(frozen=True)
class _Reached:
    """Values of treatment and control at the budget in one setting, and the shares of training used."""

    treatment: BySeed
    control: BySeed
    treatment_used: list[float]
    control_used: list[float]


def equal_compute(
    contrast: Contrast, points: Sequence[DesignPoint], histories: Histories, metric: str
) -> tuple[EqualComputeResult, ...]:
    """Compare methods at equal training time.

    The budget of each setting and seed is the shortest training there. Each method counts with its best
    epoch within it, as if it had been stopped there. A seed whose budget ends before the first epoch of some
    method is left out.

    Args:
        contrast: What is compared.
        points: Design points.
        histories: Each completed trial's epochs.
        metric: Name of the validation metric.

    Returns:
        The control first, then the treatments; nothing if times or curves are missing.
    """
    if not contrast.treatments or not all(point.timing_usable for point in points):
        return ()
    budgets = _budgets(contrast, points, histories)
    rests = CoveringIndex(dict.fromkeys(rest for rest, _ in budgets))
    seeds = sorted({seed for _, seed in budgets})

    def reach(pair: Pair[DesignPoint]) -> _Reached:
        rest, direction = rests.covering(pair.setting), metric_spec_for(metric).less_is_better
        return _reach(pair, seeds, rest, budgets, histories, less_is_better=direction)

    treatments, comparisons, controls = [], [], []
    for level in contrast.treatments:
        pairs = pairs_of(contrast, points, level)
        reached = [each for pair in pairs if (each := reach(pair)).treatment]
        values_and_used = _values_and_used(reached, of_control=False)
        if not values_and_used[0]:  # no seed that all settings have
            continue
        treatments.append((contrast.name(level), values_and_used))
        controls.append(_values_and_used(reached, of_control=True))
        difference = pooled_paired_difference([(each.treatment, each.control) for each in reached])
        difference = metric_spec_for(metric).difference_within(difference)
        names = contrast.name(level), contrast.name(contrast.control)
        comparisons.append(Comparison(*names, None, len(reached), len(pairs), difference, metric))
    results = [
        EqualComputeResult(name, *_means(values_and_used, metric_spec_for(metric)), comparison)
        for (name, values_and_used), comparison in zip(treatments, with_evidence(comparisons), strict=True)
    ]
    if not results:
        return ()
    widest = max(controls, key=lambda values_and_used: len(values_and_used[1]))
    control = EqualComputeResult(
        contrast.name(contrast.control), *_means(widest, metric_spec_for(metric)), None
    )
    return (control, *results)


def with_comparisons(
    results: Sequence[EqualComputeResult], comparisons: Sequence[Comparison]
) -> tuple[EqualComputeResult, ...]:
    """Return the results with other evidence on their differences, in the same order."""
    remaining = iter(comparisons)
    return tuple(
        each if each.comparison is None else replace(each, comparison=next(remaining)) for each in results
    )


def _budgets(
    contrast: Contrast, points: Sequence[DesignPoint], histories: Histories
) -> Mapping[tuple[Setting, int], float]:
    """Return the shortest training by setting, without the contrasted factor, and by seed."""
    known = {(point.method, point.setting) for point in points}
    shortest: dict[tuple[Setting, int], float] = {}
    for (method, setting, seed), history in histories.items():
        if (method, setting) in known:
            key = contrast.rest_of(setting), seed
            shortest[key] = min(shortest.get(key, np.inf), history.times_s[-1])
    return shortest


def _reach(
    pair: Pair[DesignPoint],
    seeds: Sequence[int],
    rests: Sequence[Setting],
    budgets: Mapping[tuple[Setting, int], float],
    histories: Histories,
    *,
    less_is_better: bool,
) -> _Reached:
    """Return what both reach at the shortest training of the settings that the pair's belongs to."""
    reached = _Reached({}, {}, [], [])
    for seed in seeds:
        own = [histories.get((point.method, point.setting, seed)) for point in (pair.treatment, pair.control)]
        budget = min((budgets[rest, seed] for rest in rests if (rest, seed) in budgets), default=np.inf)
        if None in own:
            continue
        treatment, control = (history for history in own if history is not None)
        at = [_at(each, budget, less_is_better=less_is_better) for each in (treatment, control)]
        if np.isfinite(at).all():
            reached.treatment[seed], reached.control[seed] = at
            reached.treatment_used.append(min(1.0, budget / treatment.times_s[-1]))
            reached.control_used.append(min(1.0, budget / control.times_s[-1]))
    return reached


def _at(history: History, budget_s: float, *, less_is_better: bool) -> float:
    """Return the best value among the epochs that end within the budget; NaN without one.

    The last value would punish a method for training on after its best epoch, and reward one that is cut off
    before it overfits.
    """
    within = [
        value
        for time_s, value in zip(history.times_s, history.values, strict=True)
        if time_s <= budget_s * (1 + 1e-9)
    ]
    return float(min(within) if less_is_better else max(within)) if within else float("nan")


def _values_and_used(reached: Sequence[_Reached], *, of_control: bool) -> tuple[list[float], list[float]]:
    """Return values averaged over settings within each shared seed, and the shares of training used."""
    by_seed = [each.control if of_control else each.treatment for each in reached]
    used = [each.control_used if of_control else each.treatment_used for each in reached]
    shared = sorted(set(by_seed[0]).intersection(*by_seed[1:])) if by_seed else []
    return [fmean(values[seed] for values in by_seed) for seed in shared], [x for own in used for x in own]


def _means(reached: tuple[list[float], list[float]], metric_spec: MetricSpec) -> tuple[Interval, float]:
    values, used = reached
    return metric_spec.within(mean_interval(values)), fmean(used)


def equal_compute_table(summary: Ablation) -> Table | None:
    """Return the methods at equal training time as a table, if there are any."""
    results = summary.equal_compute
    if not results:
        return None
    metric_spec = metric_spec_for(summary.curve_metric)
    heading = metric_spec.heading + metric_spec.direction
    return Table(
        key="equal-compute",
        title="At equal training time",
        corner="compared",
        columns=(heading, f"difference to {results[0].name}", "p (corrected)", "of its training (%)"),
        rows=tuple(TableRow(each.name, _cells(each, metric_spec)) for each in results),
        note=(
            "Best validation metric so far at the time when the shortest training of the same setting and "
            "seed ends, evaluation included, averaged over settings. Test metrics are measured at the end "
            "only." + ("" if _adds_up(results) else _UNEQUAL)
        ),
    )


def _adds_up(results: Sequence[EqualComputeResult]) -> bool:
    """Return whether each difference equals that of the two values shown."""
    control, *treatments = results
    return all(
        each.comparison is not None
        and each.comparison.difference.interval is not None
        and isclose(
            each.value.mean - control.value.mean, each.comparison.difference.interval.mean, abs_tol=1e-9
        )
        for each in treatments
    )


def _cells(result: EqualComputeResult, metric_spec: MetricSpec) -> tuple[TableCell, ...]:
    return (
        mean_cell(metric_spec, result.value),
        *_difference(result.comparison),
        TableCell(f"{100 * result.used:.0f}"),
    )


def _difference(comparison: Comparison | None) -> tuple[TableCell, TableCell]:
    interval = comparison.difference.interval if comparison is not None else None
    if comparison is None or interval is None:
        return EMPTY, EMPTY
    return (
        difference_cell(comparison.metric_spec, interval, is_clear=comparison.is_clear),
        TableCell(p_text(comparison.evidence.p_corrected if comparison.evidence is not None else None)),
    )
