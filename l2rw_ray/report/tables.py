"""Tables as text, shared by the HTML and the Markdown report."""

from collections.abc import Sequence

from l2rw_ray.config.design import VARIANT
from l2rw_ray.report.labels import (
    COST_MEASURES,
    MEASURES,
    TEST_MEASURES,
    TIMING_MEASURES,
    WEIGHT_MEASURES,
)
from l2rw_ray.report.summary import Ablation, Cell, Comparison, Setting, point_name
from l2rw_ray.report.table import Entry, Line, Table
from l2rw_ray.statistics import Interval

_NOTHING = Entry("–")
_MOST_COLUMNS = 6
_MEANS_ONLY = ("step_time_plain_s", "step_time_s", "duration_s", "peak_memory_bytes")


def accuracy_tables(summary: Ablation) -> tuple[Table, ...]:
    """Settings by arms, for each test figure that there is, the headline first."""
    return tuple(
        _settings_by_arms(summary, name)
        for name in TEST_MEASURES
        if any(name in cell.intervals for cell in summary.cells)
    )


def _settings_by_arms(summary: Ablation, name: str) -> Table:
    lines = []
    for setting in summary.settings:
        cells = [summary.cell(arm, setting) for arm in summary.arms]
        lines.append(Line(_short(summary, setting), tuple(_entry(cell, name) for cell in cells)))
    heading = MEASURES[name].heading + MEASURES[name].direction
    return Table(
        key=name.replace("_", "-"),
        title=heading[0].upper() + heading[1:],
        corner=_corner(summary),
        columns=("mean",) if summary.has_variants else summary.arms,
        lines=tuple(lines),
        note="Mean over completed seeds, 95 % interval, number of seeds.",
    )


def difference_table(summary: Ablation) -> Table | None:
    """Paired differences to the control, per setting and pooled; None where there are none.

    In a single setting, or where there are many, each treatment has a line instead of a column.
    """
    if not summary.pooled:
        return None
    treatments = tuple(comparison.treatment for comparison in summary.pooled)
    unit = " (points)" if summary.measure.is_share else summary.measure.direction
    rows: dict[str, dict[str, Comparison]] = {}
    for comparison in summary.comparisons:
        name = _short(summary, comparison.setting) if comparison.setting else ""
        rows.setdefault(name, {})[comparison.treatment] = comparison
    if len(rows) > 1:
        rows["average"] = {comparison.treatment: comparison for comparison in summary.pooled}
    columns, corner = treatments, _corner(summary) if "all trials" not in rows else ""
    lines = [
        Line(name, tuple(_difference(found.get(treatment)) for treatment in treatments))
        for name, found in rows.items()
    ]
    if len(treatments) > _MOST_COLUMNS or (len(rows) == 1 and len(treatments) > 1):
        columns, corner = tuple(name or "difference" for name in rows), "compared"
        lines = [
            Line(treatment, tuple(_difference(found.get(treatment)) for found in rows.values()))
            for treatment in treatments
        ]
    return Table(
        key="differences",
        title=f"Difference to {summary.control} in {summary.measure.label}{unit}",
        corner=corner,
        columns=columns,
        lines=tuple(lines),
        note="Paired by seed, 95 % interval, number of pairs. Bold: the interval excludes zero.",
    )


def weight_table(summary: Ablation) -> Table | None:
    """How the weights behaved, for arms that have any; None where there are none."""
    cells = [cell for cell in summary.cells if any(name in cell.intervals for name in WEIGHT_MEASURES)]
    note = "At the end of training. AUROC 0.5 is chance, 1 gives every wrong label the lowest weights."
    return _points_by_measures(summary, "weights", "What the weights did", cells, WEIGHT_MEASURES, note)


def cost_table(summary: Ablation) -> Table | None:
    """Step times, durations and memory; None where nothing was measured."""
    note = (
        "Step times are medians of interleaved plain and reweighted steps on a copy of the trial's state, "
        "then the mean over seeds; so are duration and memory. The ratio has its 95 % interval."
    )
    if not all(cell.timing_usable for cell in summary.cells):
        note += " Trials that shared a GPU have no usable step times."
    cells = [cell for cell in summary.cells if any(name in cell.intervals for name in COST_MEASURES)]
    return _points_by_measures(summary, "cost", "What it cost", cells, COST_MEASURES, note)


def _points_by_measures(
    summary: Ablation, key: str, title: str, cells: Sequence[Cell], names: Sequence[str], note: str
) -> Table | None:
    shown = [name for name in names if any(name in cell.intervals for cell in cells)]
    if not shown:
        return None
    lines = (Line(_point(summary, cell), tuple(_entry(cell, name) for name in shown)) for cell in cells)
    headings = tuple(MEASURES[name].heading for name in shown)
    return Table(key, title, "design point", headings, tuple(lines), note)


def _entry(cell: Cell | None, name: str) -> Entry:
    if cell is None or name not in cell.intervals:
        return _NOTHING
    if name in TIMING_MEASURES and not cell.timing_usable:
        return Entry("unusable", "GPU shared")
    measure, interval = MEASURES[name], cell.intervals[name]
    if name in _MEANS_ONLY:
        return Entry(measure.text(interval.mean))
    return Entry(measure.text(interval.mean), measure.limits(interval), _seeds(interval))


def _seeds(interval: Interval) -> int | None:
    return interval.n if interval.is_conclusive else None


def _difference(comparison: Comparison | None) -> Entry:
    interval = comparison.difference.interval if comparison else None
    if comparison is None or interval is None:
        return _NOTHING
    measure = comparison.measure
    return Entry(
        measure.signed(interval.mean),
        measure.signed_limits(interval),
        _seeds(interval),
        is_clear=interval.excludes_zero,
    )


def _corner(summary: Ablation) -> str:
    return summary.factors[0].name if len(summary.factors) == 1 else "setting"


def _short(summary: Ablation, setting: Setting) -> str:
    """A setting's text, without the factor's name where the corner of the table holds it."""
    if len(summary.factors) == 1 and len(setting.levels) == 1:
        return summary.factors[0].text(setting.levels[0][1])
    return setting.text


def _point(summary: Ablation, cell: Cell) -> str:
    if VARIANT in dict(cell.setting.levels) or not cell.setting.levels:
        return point_name(cell.arm, cell.setting)
    return f"{cell.arm}, {_short(summary, cell.setting)}"
