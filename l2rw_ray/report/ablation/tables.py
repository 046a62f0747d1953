"""Tables of test metrics, weights and costs."""

from collections.abc import Sequence

from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.labels import (
    TIMING_METRICS,
    WEIGHT_METRICS,
    metric_spec_for,
)
from l2rw_ray.report.design_points.setting import point_name, short_names
from l2rw_ray.report.document.interval_cells import EMPTY, mean_cell
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.report.document.wording import capitalised
from l2rw_ray.statistics import mean_interval

_MEANS_ONLY = ("step_time_plain_s", "step_time_s", "duration_s", "core_hours", "peak_memory_bytes")


def accuracy_tables(summary: Ablation) -> tuple[Table, ...]:
    """Return a table of settings by methods for each test metric, the headline first."""
    return tuple(
        _settings_by_arms(summary, name)
        for name in summary.results
        if any(name in point.intervals for point in summary.points)
    )


def _settings_by_arms(summary: Ablation, name: str) -> Table:
    corner, names = short_names(summary.settings)
    rows = []
    for setting, row_name in zip(summary.settings, names, strict=True):
        points = [summary.point(method, setting) for method in summary.methods]
        rows.append(TableRow(row_name, tuple(_cell(point, name) for point in points)))
    heading = metric_spec_for(name).heading + metric_spec_for(name).direction
    return Table(
        key=name.replace("_", "-"),
        title=capitalised(heading),
        corner=corner,
        columns=("mean",) if summary.has_variants else summary.methods,
        rows=tuple(rows),
        note="Mean over completed seeds, 95 % t interval, number of seeds."
        + _divergence_note(summary, name)
        + _cut_off(summary.points, [name]),
    )


def _divergence_note(summary: Ablation, name: str) -> str:
    """Return how runs that diverged count in a table, and which they are."""
    diverged = [point for point in summary.points if point.diverged]
    if not diverged:
        return ""
    metric_spec = metric_spec_for(name)
    how = f"count too, as {metric_spec.of_divergence}," if metric_spec.is_share else "are left out"
    which = ", ".join(
        f"{point_name(point.method, point.setting)}: {len(point.diverged)}" for point in diverged
    )
    return f" Runs that diverged {how} ({which})."


def weight_table(summary: Ablation) -> Table | None:
    """Return the metrics of the weights; None if no method has weights."""
    points = [point for point in summary.points if any(name in point.intervals for name in WEIGHT_METRICS)]
    note = "At the end of training."
    if any("corrupted_auroc" in point.intervals for point in points):
        note += (
            " Weight on wrong labels: their share of all weight; equal weights would give them their share "
            "of the examples. AUROC: 0.5 is chance; at 1 every wrong label has a lower weight than any "
            "right one."
        )
        if summary.label_noise:
            note += " Only examples of which it is known whether their label is right count."
    return _points_by_metrics("weights", "What the weights did", points, WEIGHT_METRICS, note)


_COST_NOTE = (
    "Means over seeds, with a 95 % interval for the ratio. Step times are medians of interleaved plain "
    "and reweighted steps on a copy of the trial's state. Core-hours are the duration times the cores "
    "that the trial held. Peak memory is what steps allocate beyond parameters and optimiser state."
)
_COST_NOTE_OF_FUNCTIONS = (
    "Means over seeds, with a 95 % interval for the ratio, which is the duration of a trial over that of the "
    "control at the same seed. Core-hours are the duration times the cores that the trial held."
)


def cost_table(summary: Ablation) -> Table | None:
    """Return step times, durations and memory; None if nothing was measured."""
    note = _COST_NOTE if summary.is_built_in else _COST_NOTE_OF_FUNCTIONS
    if not all(point.timing_usable for point in summary.points):
        note += " Trials that shared a GPU have no usable step times."
    points = [point for point in summary.points if any(name in point.intervals for name in summary.costs)]
    return _points_by_metrics("cost", "What it cost", points, summary.costs, note)


def _points_by_metrics(
    key: str, title: str, points: Sequence[DesignPoint], names: Sequence[str], note: str
) -> Table | None:
    shown = [name for name in names if any(name in point.intervals for point in points)]
    if not shown:
        return None
    corner, row_names = _row_names(points)
    rows = (
        TableRow(row_name, tuple(_cell(point, name) for name in shown))
        for row_name, point in zip(row_names, points, strict=True)
    )
    headings = tuple(metric_spec_for(name).heading for name in shown)
    return Table(key, title, corner, headings, tuple(rows), note + _cut_off(points, shown))


def _cut_off(points: Sequence[DesignPoint], names: Sequence[str]) -> str:
    """Return a note on t limits outside the range of a metric; empty if there are none."""
    reached = {
        f"{metric_spec_for(name).text(limit)}{' %' if metric_spec_for(name).is_share else ''}"
        for name in names
        if name not in _MEANS_ONLY
        for point in points
        if name in point.intervals
        for limit in _cut(point, name)
    }
    if not reached:
        return ""
    return f" Limits outside the possible range are cut off at its end ({', '.join(sorted(reached))})."


def _cut(point: DesignPoint, name: str) -> tuple[float, ...]:
    """Return the limits of a metric that differ from those of its t interval."""
    interval, whole = point.intervals[name], mean_interval(point.by_seed[name].values())
    sides = ((interval.low, whole.low), (interval.high, whole.high))
    return tuple(shown for shown, own in sides if interval.is_conclusive and shown != own)


def _cell(point: DesignPoint | None, name: str) -> TableCell:
    if point is None or name not in point.intervals:
        return EMPTY
    if name in TIMING_METRICS and not point.timing_usable:
        return TableCell("unusable", "GPU shared")
    metric_spec, interval = metric_spec_for(name), point.intervals[name]
    if name in _MEANS_ONLY:
        return TableCell(metric_spec.text(interval.mean))
    return mean_cell(metric_spec, interval)


def _row_names(points: Sequence[DesignPoint]) -> tuple[str, tuple[str, ...]]:
    """Return a heading and the names of design points below it."""
    if any(VARIANT in dict(point.setting.levels) or not point.setting.levels for point in points):
        return "design point", tuple(point_name(point.method, point.setting) for point in points)
    heading, names = short_names([point.setting for point in points])
    return f"method, {heading}", tuple(
        f"{point.method}, {name}" for point, name in zip(points, names, strict=True)
    )
