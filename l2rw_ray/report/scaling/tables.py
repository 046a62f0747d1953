"""The tables of a scaling report."""

from collections.abc import Sequence
from dataclasses import replace

from l2rw_ray.report.design_points.labels import METRICS, MetricSpec, count
from l2rw_ray.report.document.interval_cells import EMPTY, mean_cell
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.report.scaling.names import LEFT_OUT, estimator_name, names_of
from l2rw_ray.report.scaling.points import (
    MEASURED,
    PEAK_BYTES,
    PLAIN_BYTES,
    PLAIN_S,
    RATIO,
    STEP_S,
    TIMED,
    ScalingPoint,
    bound_text,
)
from l2rw_ray.report.scaling.summary import EXPONENT, SPEEDUP, ScalingSummary
from l2rw_ray.report.scaling.trends import EstimatorChoice, Trend
from l2rw_ray.report.scaling.workers import WorkersCurve, WorkersPoint
from l2rw_ray.statistics.scaling import Scaling, SerialFraction

SCALED = {
    PLAIN_S: MetricSpec("plain step", "ms", 1000, 2),
    STEP_S: MetricSpec("reweighted step", "ms", 1000, 2),
    RATIO: METRICS[RATIO],
    PLAIN_BYTES: MetricSpec("memory of a plain step", "MiB", 2**-20, 1),
    PEAK_BYTES: MetricSpec("memory of a reweighted step", "MiB", 2**-20, 1),
}
"""Label, unit and format of the metrics measured."""
_EFFICIENCY = MetricSpec("efficiency", "%", 100, 0)
_FARTHEST = 2
"""Number of workers to project to, relative to the largest number measured."""
_SHARED = TableCell("unusable", "GPU shared")
_CHOICE_NOTE = (
    "Mean over seeds, 95 % interval, number of seeds. Bold: the cheapest, if the 95 % interval of its ratio "
    f"to the next, paired by seed, excludes 1. {LEFT_OUT}"
)
_AUTO, _TAKEN_NOTE = "auto", " After “by”: what auto took."
_LAW_NOTE = (
    "M meta examples and a batch of B. In arithmetic operations no exact method is below constant 1 and "
    "slope 1; in time it may be, if step time grows more slowly than the batch. Least squares within each "
    "seed, 95 % t interval over seeds."
)
_TREND_NOTE = (
    "Power laws fitted within each seed, 95 % t interval over seeds. Fits within: the largest distance of a "
    "level's mean from its law."
)
_WORKERS_NOTE = (
    "Speed-up: work per unit of time relative to one worker. Geometric mean of the ratios at equal seeds, "
    "95 % t interval of their logarithms. All workers together use one meta batch, whatever their number. "
    "Memory is that of the worker with the highest peak."
)
_PROJECTION_NOTE = (
    "Projected from up to {} workers to twice as many by Amdahl's law at an equal total batch and "
    "Gustafson's law at an equal batch per worker. Neither includes communication that grows with the "
    "workers: expect less. Intervals are over seeds, on this machine. Fits within: the largest distance of a "
    "measured speed-up from the law, which is dotted in the plot. Fractions above 1 (more workers are slower "
    "than one) and below 0 (more than linear speed-up) are not projected."
)
_POINTS_NOTE = (
    "Medians of interleaved plain and reweighted steps, then the mean over seeds; 95 % interval of the "
    f"ratio. Memory is the peak that a step allocates beyond parameters. {LEFT_OUT}"
)


def estimator_table(summary: ScalingSummary) -> Table | None:
    """Return the overhead ratio by estimator, for settings with several; None if there are none."""
    if not summary.choices:
        return None
    points = [next(iter(choice.by_estimator.values())) for choice in summary.choices]
    fixed = [choice.fixed for choice in summary.choices]
    names = names_of(list(zip(points, fixed, strict=True)))
    estimators = tuple(dict.fromkeys(name for choice in summary.choices for name in choice.by_estimator))
    return Table(
        key="estimators",
        title="Overhead ratio by estimator",
        corner="setting",
        columns=tuple(map(estimator_name, estimators)),
        rows=tuple(
            TableRow(name, tuple(_choice(choice, each) for each in estimators))
            for name, choice in zip(names, summary.choices, strict=True)
        ),
        note=_CHOICE_NOTE + (_TAKEN_NOTE if any(map(_taken, summary.choices)) else ""),
    )


def _choice(choice: EstimatorChoice, estimator: str) -> TableCell:
    point = choice.by_estimator.get(estimator)
    is_clear = choice.is_clear and estimator == choice.cheapest
    cell = mean_cell(SCALED[RATIO], point.intervals[RATIO] if point else None, is_clear=is_clear)
    taken = _taken(choice) if estimator == _AUTO else ""
    return replace(cell, detail=f"{cell.detail}, by {taken}") if taken else cell


def _taken(choice: EstimatorChoice) -> str:
    """Return the estimators that `auto` took, in words; nothing where it was not compared or not recorded."""
    point = choice.by_estimator.get(_AUTO)
    return " or ".join(map(estimator_name, point.estimators_used)) if point else ""


def ratio_law_table(summary: ScalingSummary) -> Table | None:
    """Return the overhead ratio as a constant and a multiple of M/B; None without a fit."""
    if not summary.ratio_laws:
        return None
    names = names_of([(each.points[0], each.fixed) for each in summary.ratio_laws])
    shares = bound_text([point for each in summary.ratio_laws for point in each.points]).removeprefix("1 + ")
    rows = (
        TableRow(
            name,
            (
                mean_cell(EXPONENT, each.law.constant),
                mean_cell(EXPONENT, each.law.slope),
                TableCell(f"{100 * each.law.misfit:.0f} %"),
            ),
        )
        for name, each in zip(names, summary.ratio_laws, strict=True)
    )
    return Table(
        key="ratio-by-share",
        title=f"Overhead ratio = constant + slope · {shares}",
        corner="estimator",
        columns=("constant", "slope", "fits within"),
        rows=tuple(rows),
        note=_LAW_NOTE,
    )


def trend_table(trends: Sequence[Trend]) -> Table:
    """Return the exponents of all trends along one size."""
    shown = [name for name in MEASURED if any(name in trend.laws for trend in trends)]
    axis = trends[0].axis
    names = names_of([(trend.points[0], trend.fixed) for trend in trends])
    rows = []
    for name, trend in zip(names, trends, strict=True):
        exponents = [trend.laws[each].exponent if each in trend.laws else None for each in shown]
        misfit = max((law.misfit for law in trend.laws.values()), default=0.0)
        fit = TableCell(f"{100 * misfit:.0f} %" if len(set(trend.levels)) > 2 else "two levels")
        rows.append(TableRow(name, (*(mean_cell(EXPONENT, each) for each in exponents), fit)))
    return Table(
        key=f"growth-by-{axis.name.replace(' ', '-')}",
        title=f"Exponents of growth with {axis.name}",
        corner="setting",
        columns=(*(SCALED[name].label for name in shown), "fits within"),
        rows=tuple(rows),
        note=_TREND_NOTE,
    )


def workers_table(curves: Sequence[WorkersCurve]) -> Table:
    """Return step time, speed-up and efficiency by workers, for curves of one kind of scaling."""
    scaling = curves[0].scaling
    equal = "total batch" if scaling is Scaling.STRONG else "batch per worker"
    return Table(
        key=f"{scaling.value}-scaling",
        title=f"At an equal {equal}",
        corner="step",
        columns=("step time (ms)", "speed-up", "efficiency (%)", "overhead ratio", "peak memory (MiB)"),
        rows=tuple(
            TableRow(f"{curve.name}, {count(each.workers, 'worker')}", _workers_cells(curve, each))
            for curve in curves
            for each in curve.points
        ),
        note=_WORKERS_NOTE,
    )


def _workers_cells(curve: WorkersCurve, each: WorkersPoint) -> tuple[TableCell, ...]:
    alone, point = each.workers == 1, each.point
    return (
        mean_cell(SCALED[curve.step], point.intervals[curve.step]),
        TableCell("1") if alone else mean_cell(SPEEDUP, each.speedup),
        TableCell("100") if alone else mean_cell(_EFFICIENCY, each.efficiency),
        _measured(point, RATIO),
        _measured(point, PLAIN_BYTES if curve.step == PLAIN_S else PEAK_BYTES),
    )


def projection_table(summary: ScalingSummary) -> Table | None:
    """Return the speed-up that laws fitted to three numbers of workers or more predict; None without any."""
    curves = [curve for curve in summary.workers if curve.serial is not None]
    if not curves:
        return None
    measured = sorted({curve.points[-1].workers for curve in curves})
    numbers = tuple(_FARTHEST * number for number in measured)
    rows = []
    for curve in curves:
        assert curve.serial is not None
        fraction, fit = mean_cell(EXPONENT, curve.serial.interval), TableCell(f"{100 * curve.misfit:.0f} %")
        own = curve.points[-1].workers
        projected = (
            _projected(curve.serial, number) if number <= _FARTHEST * own else EMPTY for number in numbers
        )
        rows.append(TableRow(curve.name, (fraction, fit, *projected)))
    return Table(
        key="projection",
        title="Projected speed-up: not measured",
        corner="step",
        columns=("serial fraction", "fits within", *(f"{number} workers" for number in numbers)),
        rows=tuple(rows),
        note=_PROJECTION_NOTE.format(" or ".join(map(str, measured))),
    )


def _projected(serial: SerialFraction, workers: int) -> TableCell:
    speedup = serial.project(workers)
    if speedup is not None:
        return mean_cell(SPEEDUP, speedup)
    return TableCell("no gain" if serial.interval.mean >= 1 else "no limit observed")


def points_table(summary: ScalingSummary) -> Table:
    """Return all measurements, a row per point."""
    known = {name for point in summary.points for name in point.intervals}
    if not all(point.timing_usable for point in summary.points):
        known |= set(TIMED)
    shown = [name for name in MEASURED if name in known]
    names = names_of([(point, point.facets) for point in summary.points])
    rows = (
        TableRow(name, (*(_measured(point, each) for each in shown), _bound(point)))
        for name, point in zip(names, summary.points, strict=True)
    )
    return Table(
        key="points",
        title="All points",
        corner="point",
        columns=(*(SCALED[name].heading for name in shown), f"bound {bound_text(summary.points)}"),
        rows=tuple(rows),
        note=_POINTS_NOTE,
    )


def _measured(point: ScalingPoint, name: str) -> TableCell:
    interval = point.intervals.get(name)
    if interval is None:
        return EMPTY if point.timing_usable or name not in TIMED else _SHARED
    return mean_cell(SCALED[name], interval) if name == RATIO else TableCell(SCALED[name].text(interval.mean))


def _bound(point: ScalingPoint) -> TableCell:
    return EMPTY if point.bound is None else TableCell(SCALED[RATIO].text(point.bound))
