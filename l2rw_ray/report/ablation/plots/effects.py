"""Plots of the answer: the headline metric along factors, and differences to the control."""

from collections.abc import Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2rw_ray.report.ablation.plots.styles import styles_of
from l2rw_ray.report.ablation.summary import Ablation, Effect, EffectPoint
from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.design_points.labels import MetricSpec
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.report.document.canvas import PANEL, bar_lengths, legend_above, panel
from l2rw_ray.report.document.palette import INK, Style

_DODGE = 0.09  # between methods, in steps of the axis
_LEVEL_CHARACTERS = 44  # that fit beside each other below a panel
_NAME_CHARACTERS = 28  # of a line of a name beside the axis
_LINE_CHARACTERS = 58  # of a line across a whole figure
_LEAST_CHARACTERS = 20  # of a line below a panel
_ROW = 0.36  # inches of a line of the axis


def draw_effect(summary: Ablation, effect: Effect) -> Figure:
    """Draw the headline metric along one factor: a line per method, with intervals over seeds.

    Levels with long names are drawn below each other.
    """
    levels, metric_spec = [effect.factor.text(level) for level in effect.factor.levels], summary.metric_spec
    is_flat = not effect.factor.is_ordered and sum(len(level) + 2 for level in levels) > _LEVEL_CHARACTERS
    figure, axes = _rows_panel(len(levels)) if is_flat else panel()
    styles, along_methods = styles_of(summary), not summary.factors
    drawn = {point.method for point in effect.points}
    lines = [name for name in styles if name in drawn]
    for number, method in enumerate(lines):
        points = [point for point in effect.points if point.method == method]
        offset = 0.0 if along_methods else _DODGE * (number - (len(lines) - 1) / 2)
        _draw_points(axes, effect, points, offset, styles[method], metric_spec, is_flat=is_flat)
    values, places = (axes.xaxis, axes.yaxis) if is_flat else (axes.yaxis, axes.xaxis)
    places.set_ticks(range(len(levels)), [fill(level, _NAME_CHARACTERS) for level in levels])
    _set_limits(axes, len(levels), metric_spec, is_flat=is_flat)
    axes.grid(visible=False, axis="y" if is_flat else "x")
    places.set_label_text("" if is_flat else effect.factor.name)
    if is_flat:
        _name_values(axes, metric_spec.heading + metric_spec.direction)
    else:
        values.set_label_text(metric_spec.heading + metric_spec.direction)
    if len(lines) > 1 and not along_methods:
        legend_above(figure, axes)
    return figure


def _set_limits(axes: Axes, levels: int, metric_spec: MetricSpec, *, is_flat: bool) -> None:
    low, high = axes.get_xlim() if is_flat else axes.get_ylim()
    # t intervals of few seeds can exceed the range
    limits = max(low, lowest(metric_spec)), min(high, highest(metric_spec))
    if is_flat:
        axes.set(xlim=limits, ylim=(levels - 0.5, -0.5))
    else:
        axes.set(xlim=(-0.5, levels - 0.5), ylim=limits)


def _draw_points(
    axes: Axes,
    effect: Effect,
    points: Sequence[EffectPoint],
    offset: float,
    style: Style,
    metric_spec: MetricSpec,
    *,
    is_flat: bool,
) -> None:
    if not points:
        return
    places = [effect.factor.levels.index(point.level) + offset for point in points]
    intervals = [point.interval for point in points]
    means = [metric_spec.scale * interval.mean for interval in intervals]
    bars = bar_lengths(intervals, metric_spec.scale)
    axes.errorbar(
        means if is_flat else places,
        places if is_flat else means,
        xerr=bars if is_flat else None,
        yerr=None if is_flat else bars,
        color=style.color,
        marker=style.marker,
        linestyle="-" if effect.factor.is_ordered else "none",
        label=points[0].method,
        linewidth=1.8,
        markersize=6,
        capsize=3,
        elinewidth=1.3,
    )


def draw_differences(summary: Ablation) -> Figure | None:
    """Draw paired differences to the control by setting, and their average; None if there are none.

    In a single setting each treatment has its own row.
    """
    if not summary.pooled:
        return None
    rows = _difference_rows(summary)
    treatments = [comparison.treatment for comparison in summary.pooled]
    is_list = len(rows) == 1 and len(treatments) > 1
    names = treatments if is_list else [name for name, _ in rows]
    figure, axes = _rows_panel(len(names))
    styles = styles_of(summary)
    for number, treatment in enumerate(treatments):
        found = [(row, group[treatment]) for row, (_, group) in enumerate(rows) if treatment in group]
        offset = number if is_list else 1.6 * _DODGE * (number - (len(treatments) - 1) / 2)
        _draw_difference(axes, found, offset, styles[treatment])
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(names)), [fill(name, _NAME_CHARACTERS) if is_list else name for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    metric_spec = summary.metric_spec
    unit = "points" if metric_spec.is_share else metric_spec.label + metric_spec.direction
    _name_values(axes, f"difference to {summary.control} ({unit})")
    if not is_list:
        legend_above(figure, axes)
    return figure


def draw_comparison(comparisons: Sequence[Comparison]) -> Figure:
    """Draw the paired difference of two levels, a row for each setting; all have an interval."""
    first = comparisons[0]
    figure, axes = panel((PANEL[0], 0.8 + _ROW * len(comparisons)))
    _draw_difference(axes, list(enumerate(comparisons)), 0.0, Style(INK, "o", "-"))
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(comparisons)), [fill(each.where, _NAME_CHARACTERS) for each in comparisons])
    axes.set_ylim(len(comparisons) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    unit = "points" if first.metric_spec.is_share else first.metric_spec.label + first.metric_spec.direction
    _name_values(axes, f"{first.treatment} − {first.control} ({unit})")
    return figure


def _name_values(axes: Axes, name: str) -> None:
    """Name the axis of values, in lines that fit below what the names beside the rows leave of the width."""
    names = (line for tick in axes.get_yticklabels() for line in tick.get_text().split("\n"))
    longest = max(map(len, names), default=0)
    axes.set_xlabel(fill(name, max(_LEAST_CHARACTERS, min(_LEVEL_CHARACTERS, _LINE_CHARACTERS - longest))))


def _difference_rows(summary: Ablation) -> list[tuple[str, dict[str, Comparison]]]:
    """Return comparisons by treatment, for each setting and then for the average."""
    rows: dict[str, dict[str, Comparison]] = {}
    for comparison in summary.comparisons:
        rows.setdefault(_row_name(summary, comparison.setting), {})[comparison.treatment] = comparison
    if len(rows) > 1:
        rows["average"] = {comparison.treatment: comparison for comparison in summary.pooled}
    return list(rows.items())


def _row_name(summary: Ablation, setting: Setting | None) -> str:
    if setting is None or not setting.levels:
        return "at any level" if summary.factors and len(summary.comparisons) > 1 else ""
    if len(setting.levels) > 1:
        return setting.text.replace(", ", "\n")
    path, level = setting.levels[0]
    return next(factor for factor in summary.factors if factor.path == path).text(level)


def _draw_difference(
    axes: Axes, found: Sequence[tuple[int, Comparison]], offset: float, style: Style
) -> None:
    drawn = [(row, c.treatment, c.difference.interval) for row, c in found if c.difference.interval]
    if not drawn:
        return
    intervals, scale = [interval for _, _, interval in drawn], found[0][1].metric_spec.scale
    axes.errorbar(
        [scale * interval.mean for interval in intervals],
        [row + offset for row, _, _ in drawn],
        xerr=bar_lengths(intervals, scale),
        color=style.color,
        marker=style.marker,
        linestyle="none",
        label=drawn[0][1],
        markersize=6,
        capsize=3,
        elinewidth=1.5,
    )


def _rows_panel(rows: int) -> tuple[Figure, Axes]:
    """Return an empty plot high enough for this number of named rows."""
    return panel((PANEL[0], max(PANEL[1], 0.8 + _ROW * rows)))


def lowest(metric_spec: MetricSpec) -> float:
    """Return the smallest value that an axis may show."""
    return metric_spec.scale * metric_spec.lowest


def highest(metric_spec: MetricSpec) -> float:
    """Return the largest possible value, in the shown unit."""
    return metric_spec.scale * metric_spec.highest
