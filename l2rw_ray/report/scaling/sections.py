"""The sections of a scaling report, in order."""

from l2rw_ray.report.document.section import Plot, Section, table_section
from l2rw_ray.report.scaling.plots import MAX_TRENDS, draw_ratios, draw_trends, draw_workers
from l2rw_ray.report.scaling.points import PEAK_BYTES, PLAIN_BYTES, PLAIN_S, RATIO, STEP_S
from l2rw_ray.report.scaling.summary import ScalingSummary
from l2rw_ray.report.scaling.tables import (
    estimator_table,
    points_table,
    projection_table,
    ratio_law_table,
    trend_table,
    workers_table,
)
from l2rw_ray.report.scaling.trends import AXES, Trend
from l2rw_ray.statistics.scaling import Scaling

_BARS = "Points are means over seeds, bars their 95 % intervals, cut off at the panel's edge."
_COSTS = (
    ("ratio", RATIO, None, "Overhead ratio"),
    ("time", STEP_S, PLAIN_S, "Step time"),
    ("memory", PEAK_BYTES, PLAIN_BYTES, "Peak memory"),
)
_SCALINGS = {
    Scaling.STRONG: "Speed-up at an equal total batch",
    Scaling.WEAK: "Speed-up at an equal batch per worker",
}


def scaling_sections(summary: ScalingSummary) -> list[Section]:
    """Return everything between the finding and what was run; call inside `drawing()`."""
    sections = [_overall(summary)]
    for axis in AXES:
        trends = [trend for trend in summary.trends if trend.axis == axis and trend.laws]
        if trends:
            sections.append(_growth(trends))
    if summary.workers:
        sections.append(_workers(summary))
    sections.append(Section("All measurements", folded=(table_section(points_table(summary)),)))
    return [section for section in sections if not section.is_empty]


def _overall(summary: ScalingSummary) -> Section:
    plots: tuple[Plot, ...] = ()
    if summary.median_ratio is not None:
        title = "Overhead ratio and its bound"
        plots = (Plot("ratios", title, draw_ratios(summary.points)),)
    found = (estimator_table(summary), ratio_law_table(summary))
    note = (
        "The overhead ratio is the time of a reweighted step over that of a plain one. Each point is one "
        "setting, a mean over its seeds. The bound is the arithmetic of a plain step and of the meta "
        "gradient that any exact method needs: 1 + M/B, or 1 + M/(N·B) with new weights at every Nth step."
    )
    tables = tuple(table for table in found if table)
    return Section("What a reweighted step costs", plots, tables, note if plots else "")


def _growth(trends: list[Trend]) -> Section:
    axis = trends[0].axis.name
    plots = tuple(
        Plot(f"{key}-by-{axis.replace(' ', '-')}", f"{title} by {axis}", draw_trends(trends, shown, beside))
        for key, shown, beside, title in _COSTS
        if any(shown in trend.laws for trend in trends)
    )
    few = f" The first {MAX_TRENDS} of {len(trends)} lines are drawn." if len(trends) > MAX_TRENDS else ""
    return Section(f"By {axis}", plots, (trend_table(trends),), _BARS + few)


def _workers(summary: ScalingSummary) -> Section:
    plots, tables = [], []
    for scaling, title in _SCALINGS.items():
        curves = [curve for curve in summary.workers if curve.scaling is scaling]
        if curves:
            plots.append(Plot(f"{scaling.value}-speed-up", title, draw_workers(curves)))
            tables.append(workers_table(curves))
    projection = projection_table(summary)
    if projection:
        tables.append(projection)
    return Section("Speed-up by workers", tuple(plots), tuple(tables), _BARS)
