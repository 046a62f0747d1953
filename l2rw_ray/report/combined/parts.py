"""Plots, tables and CSV of a combined report."""

from collections.abc import Sequence
from textwrap import fill

from matplotlib.figure import Figure

from l2rw_ray.report.ablation.plots.effects import draw_differences, draw_effect
from l2rw_ray.report.ablation.tables import accuracy_tables
from l2rw_ray.report.combined.summary import CombinedSummary, SharedContrast, StudySummary
from l2rw_ray.report.document.csv_text import LIMITS, csv_text, interval_fields
from l2rw_ray.report.document.interval_cells import EMPTY, difference_cell
from l2rw_ray.report.document.palette import COLORS, INK
from l2rw_ray.report.document.section import Plot
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.report.scaling.plots import draw_ratios
from l2rw_ray.report.scaling.summary import ScalingSummary
from l2rw_ray.report.scaling.tables import estimator_table, points_table
from l2rw_ray.report.search.plots import draw_history
from l2rw_ray.report.search.summary import SearchSummary
from l2rw_ray.report.search.tables import search_tables

_WIDTH, _ROW = 4.7, 0.42  # inches
_NAME_CHARACTERS = 24
_MAX_COLUMNS = 5
FOREST_NOTE = (
    "Mean difference of each study over its settings, with the 95 % interval over the seeds of that study. "
    "Studies differ in data and design: nothing is pooled over them, and nothing follows for other studies."
)


def forest_plots(summary: CombinedSummary) -> tuple[Plot, ...]:
    """Return a forest plot for each difference that studies share; call inside `drawing()`."""
    return tuple(
        Plot(
            f"across-{number}",
            f"Difference of {contrast.treatment} to {contrast.control}",
            draw_forest(contrast),
        )
        for number, contrast in enumerate(summary.shared, start=1)
    )


def draw_forest(contrast: SharedContrast) -> Figure:
    """Draw the difference in each study, with its interval."""
    rows = len(contrast.found)
    figure = Figure(figsize=(_WIDTH, 1.1 + _ROW * rows), layout="constrained")
    axes, scale = figure.subplots(), contrast.metric_spec.scale
    for row, (_, comparison) in enumerate(contrast.found):
        interval = comparison.difference.interval
        assert interval is not None
        bars = [[interval.mean - interval.low], [interval.high - interval.mean]]
        axes.errorbar(
            [scale * interval.mean],
            [row],
            xerr=[[scale * length for length in side] for side in bars] if interval.is_conclusive else None,
            color=COLORS[1],
            marker="o",
            markersize=6,
            capsize=3,
            elinewidth=1.5,
        )
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(rows), [fill(key, _NAME_CHARACTERS) for key, _ in contrast.found])
    axes.set_ylim(rows - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    unit = (
        "points"
        if contrast.metric_spec.is_share
        else contrast.metric_spec.label + contrast.metric_spec.direction
    )
    axes.set_xlabel(f"difference to {contrast.control} ({unit})")
    return figure


def forest_table(summary: CombinedSummary) -> Table | None:
    """Return the shared differences of each study; None where there are none."""
    if not summary.shared:
        return None
    keys = [study.key for study in summary.studies if any(study.key in dict(s.found) for s in summary.shared)]
    columns = tuple(_heading(contrast) for contrast in summary.shared)
    rows = [TableRow(key, tuple(_found(contrast, key) for contrast in summary.shared)) for key in keys]
    corner = "study"
    if len(columns) > _MAX_COLUMNS:
        found = [tuple(_found(contrast, key) for key in keys) for contrast in summary.shared]
        rows = [TableRow(name, cells) for name, cells in zip(columns, found, strict=True)]
        corner, columns = "compared", tuple(keys)
    return Table(
        key="across-studies",
        title="Difference to the control, by study",
        corner=corner,
        columns=columns,
        rows=tuple(rows),
        note="Paired by seed, 95 % interval, number of pairs. Bold: clear, corrected within each study.",
    )


def _heading(contrast: SharedContrast) -> str:
    return f"{contrast.name} ({'points' if contrast.metric_spec.is_share else contrast.metric_spec.label})"


def _found(contrast: SharedContrast, key: str) -> TableCell:
    comparison = dict(contrast.found).get(key)
    if comparison is None:
        return EMPTY
    interval, is_clear = comparison.difference.interval, comparison.is_clear
    return difference_cell(contrast.metric_spec, interval, is_clear=is_clear)


def main_plot(study: StudySummary) -> Plot | None:
    """Return the first plot of the study's own report, if any; call inside `drawing()`."""
    found = _draw_main(study)
    return None if found is None else Plot(f"study-{study.key}", *found)


def _draw_main(study: StudySummary) -> tuple[str, Figure] | None:
    match study.summary:
        case ScalingSummary() as scaling:
            title = "Overhead ratio and its bound"
            return None if scaling.median_ratio is None else (title, draw_ratios(scaling.points))
        case SearchSummary() as search:
            title = f"{search.goals[0].metric_spec.label} in the order of the search"
            return (title, draw_history(search)) if search.measured else None
        case ablation:
            effect = next((each for each in ablation.effects if each.points), None)
            if effect is not None:
                title = f"{ablation.metric_spec.label} by {effect.factor.name}"
                return title, draw_effect(ablation, effect)
            differences = draw_differences(ablation)
            return None if differences is None else (f"difference to {ablation.control}", differences)


def main_table(study: StudySummary) -> Table | None:
    """Return the table behind the finding, if there is one."""
    match study.summary:
        case ScalingSummary() as scaling:
            return estimator_table(scaling) or points_table(scaling)
        case SearchSummary() as search:
            return next(iter(search_tables(search)), None)
        case ablation:
            return ablation.answer or next(iter(accuracy_tables(ablation)), None)


def combined_csv(studies: Sequence[StudySummary]) -> str:
    """Return a row per study and difference as CSV, at full precision and in the units of the ledgers."""
    # "figure": name kept from release 0.1
    columns = ("figure", "treatment", "control", "settings", *LIMITS)
    rows = []
    for study in studies:
        found = [
            [each.metric, each.treatment, each.control, each.settings, *interval_fields(interval)]
            for each in study.comparisons
            if (interval := each.difference.interval) is not None
        ]
        about = [study.key, study.summary.question, study.summary.finding]
        rows += [[*about, *row, study.hardware, study.commit] for row in found or [[""] * len(columns)]]
    return csv_text(["study", "question", "finding", *columns, "hardware", "commit"], rows)
