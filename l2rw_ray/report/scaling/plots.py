"""The plots of a scaling report."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, ScalarFormatter

from l2rw_ray.report.document.canvas import bar_lengths, legend_above, panel
from l2rw_ray.report.document.palette import COLORS, INK
from l2rw_ray.report.scaling.names import estimator_name, names_of
from l2rw_ray.report.scaling.points import ESTIMATOR, PEAK_BYTES, RATIO, STEP_S, ScalingPoint, bound_text
from l2rw_ray.report.scaling.summary import PAPERS_RATIO
from l2rw_ray.report.scaling.tables import SCALED
from l2rw_ray.report.scaling.trends import Trend, size_text
from l2rw_ray.report.scaling.workers import WorkersCurve

_NARROW = (3.9, 3.2)  # inches: three stand beside each other
_MARKERS, _DASHES = "osD^vPX*", ("-", "-.", ":")
MAX_TRENDS = 12
_HEADINGS = {STEP_S: "step time (ms)", PEAK_BYTES: "peak memory (MiB)"}
"""Labels of axes that show plain steps as well."""


@dataclass(frozen=True)
class _Look:
    """Style of a trend: colour by estimator, marker and dash by other differences.

    Attributes:
        color: Colour of its line.
        plain_color: Colour of the plain steps.
        other: Index of its group among those that differ in more than the estimator.
    """

    color: str
    plain_color: str
    other: int


def draw_ratios(points: Sequence[ScalingPoint]) -> Figure:
    """Draw the overhead ratio of every point against its bound, by estimator."""
    figure, axes = panel()
    known = [point for point in points if point.bound is not None and RATIO in point.intervals]
    estimators = list(dict.fromkeys(point.facets.level(ESTIMATOR) for point in known))
    for number, estimator in enumerate(estimators):
        own = [point for point in known if point.facets.level(ESTIMATOR) == estimator]
        axes.plot(
            [point.bound or 1 for point in own],
            [point.intervals[RATIO].mean for point in own],
            linestyle="none",
            color=COLORS[number % len(COLORS)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=6,
            alpha=0.8,
            label=estimator_name(estimator) if estimator else "measured",
        )
    most, formula = max(point.bound or 1 for point in known), bound_text(known)
    axes.plot([1, most], [1, most], color=INK, linewidth=1.2, linestyle="--", label=f"bound {formula}")
    axes.axhline(PAPERS_RATIO, color=INK, linewidth=1.2, linestyle=":", label="the paper's estimate")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(f"bound {formula}")
    axes.set_ylabel(SCALED[RATIO].heading)
    legend_above(figure, axes)
    return figure


def draw_trends(trends: Sequence[Trend], shown: str, beside: str | None = None) -> Figure:
    """Draw a metric along one size, a line per trend.

    Args:
        trends: Trends along the same size.
        shown: Name of the metric; the overhead ratio is drawn with its bound.
        beside: Name of a metric that does not depend on the estimator, drawn dashed.
    """
    figure, axes = panel(_NARROW)
    drawn = [trend for trend in trends if _has(trend, shown)][:MAX_TRENDS]
    names = names_of([(trend.points[0], trend.fixed) for trend in drawn])
    looks = _looks(drawn)
    for place, (trend, look) in enumerate(zip(drawn, looks, strict=True)):
        is_first = look.other not in {earlier.other for earlier in looks[:place]}
        if beside is not None and is_first:
            _draw_beside(axes, trend, beside, look.plain_color)
        label = names[place] if len(drawn) > 1 else "reweighted step"
        _draw_line(axes, trend, shown, label, look)
    if shown == RATIO:
        _draw_bound(axes, drawn)
    is_log = shown != RATIO
    _set_scales(axes, drawn, [shown, *([beside] if beside else [])], is_log=is_log)
    axes.set_xlabel(trends[0].axis.name)
    axes.set_ylabel(_HEADINGS.get(shown, SCALED[shown].heading))
    legend_above(figure, axes)
    return figure


def draw_workers(curves: Sequence[WorkersCurve]) -> Figure:
    """Draw the speed-up of plain and reweighted steps by workers, with the ideal.

    Args:
        curves: Curves of the same kind of scaling.
    """
    figure, axes = panel()
    numbers = sorted({each.workers for curve in curves for each in curve.points})
    axes.plot(numbers, numbers, color=INK, linewidth=1.2, linestyle="--", label="ideal")
    for number, curve in enumerate(curves):
        intervals = [each.speedup for each in curve.points]
        axes.errorbar(
            [each.workers for each in curve.points],
            [interval.mean for interval in intervals],
            yerr=bar_lengths(intervals, 1.0),
            color=COLORS[number % len(COLORS)],
            marker=_MARKERS[number % len(_MARKERS)],
            linewidth=1.8,
            markersize=6,
            capsize=3,
            label=curve.name,
        )
        if curve.serial is not None:
            fitted = [curve.serial.fitted(each.workers) for each in curve.points]
            places = [each.workers for each in curve.points]
            axes.plot(places, fitted, color=COLORS[number % len(COLORS)], linewidth=1.2, linestyle=":")
    if any(curve.serial is not None for curve in curves):
        axes.plot([], [], color=INK, linewidth=1.2, linestyle=":", label="fitted law")
    axes.set_xticks(numbers)
    axes.set_ylim(0, 1.1 * max([*numbers, *(each.speedup.mean for curve in curves for each in curve.points)]))
    axes.set_xlabel("workers")
    axes.set_ylabel("speed-up")
    legend_above(figure, axes)
    return figure


def _has(trend: Trend, name: str) -> bool:
    return all(name in point.intervals for point in trend.points)


def _moving(trend: Trend) -> tuple[str, ...]:
    return trend.axis.path, *trend.axis.follows


def _looks(trends: Sequence[Trend]) -> list[_Look]:
    estimators = [trend.fixed.level(ESTIMATOR) for trend in trends]
    groups = [trend.points[0].without(ESTIMATOR, *_moving(trend)) for trend in trends]
    kinds, others = list(dict.fromkeys(estimators)), list(dict.fromkeys(groups))
    looks = []
    for estimator, group in zip(estimators, groups, strict=True):
        other = others.index(group)
        color = COLORS[(kinds.index(estimator) if len(kinds) > 1 else other) % len(COLORS)]
        looks.append(_Look(color, INK if len(kinds) > 1 or len(others) == 1 else color, other))
    return looks


def _draw_line(axes: Axes, trend: Trend, shown: str, label: str, look: _Look) -> None:
    intervals, scale = [point.intervals[shown] for point in trend.points], SCALED[shown].scale
    axes.errorbar(
        trend.levels,
        [scale * interval.mean for interval in intervals],
        yerr=bar_lengths(intervals, scale),
        color=look.color,
        marker=_MARKERS[look.other % len(_MARKERS)],
        linestyle=_DASHES[look.other % len(_DASHES)],
        linewidth=1.8,
        markersize=6,
        capsize=3,
        elinewidth=1.3,
        label=label,
    )


def _draw_beside(axes: Axes, trend: Trend, name: str, color: str) -> None:
    known = axes.get_legend_handles_labels()[1]
    label = "_" if "plain step" in known else "plain step"  # matplotlib omits labels that begin with _
    values = [SCALED[name].scale * point.intervals[name].mean for point in trend.points]
    axes.plot(trend.levels, values, color=color, linewidth=1.2, linestyle="--", label=label)


def _draw_bound(axes: Axes, trends: Sequence[Trend]) -> None:
    """Draw the bound if it is the same for all trends."""
    bounds = {
        tuple((level, point.bound) for level, point in zip(trend.levels, trend.points, strict=True))
        for trend in trends
    }
    pairs = next(iter(bounds))
    if len(bounds) == 1 and all(bound is not None for _, bound in pairs):
        axes.plot(
            [level for level, _ in pairs],
            [bound or 1 for _, bound in pairs],
            color=INK,
            linewidth=1.4,
            linestyle="--",
            label=f"bound {bound_text([point for trend in trends for point in trend.points])}",
        )


def _set_scales(axes: Axes, trends: Sequence[Trend], names: Sequence[str], *, is_log: bool) -> None:
    """Set limits by the means, so that wide intervals are cut off."""
    means = [
        SCALED[name].scale * point.intervals[name].mean
        for trend in trends
        for point in trend.points
        for name in names
        if name in point.intervals
    ]
    axes.set_xscale("log")
    levels = sorted({level for trend in trends for level in trend.levels})
    axes.set_xlim(levels[0] / 1.2, levels[-1] * 1.2)
    axes.set_xticks(_apart(levels), [size_text(level) for level in _apart(levels)])
    axes.xaxis.set_minor_locator(NullLocator())
    if is_log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.set_ylim(min(means) / 1.6, max(means) * 1.6)
    else:
        axes.set_ylim(0, 1.15 * max(means))


def _apart(levels: Sequence[float]) -> list[float]:
    """Return levels far enough apart for labels on a logarithmic axis."""
    shown: list[float] = []
    least = max((levels[-1] / levels[0]) ** 0.13, 1.05)
    for level in levels:
        if not shown or level / shown[-1] >= least:
            shown.append(level)
    return shown
