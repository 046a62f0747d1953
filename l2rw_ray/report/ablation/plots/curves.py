"""Plots of curves over epochs or training time."""

from collections.abc import Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from l2rw_ray.report.ablation.plots.effects import highest, lowest
from l2rw_ray.report.ablation.plots.styles import styles_of
from l2rw_ray.report.ablation.summary import Ablation, Curve
from l2rw_ray.report.design_points.labels import MetricSpec
from l2rw_ray.report.design_points.setting import Setting, narrowest
from l2rw_ray.report.document.canvas import legend_above, panel
from l2rw_ray.report.document.palette import Style

MAX_CURVE_PANELS = 6
MAX_FURTHER_PANELS = 3
CURVE_PANEL = (3.9, 2.5)
"""Inches of a panel that stands alone."""
_LABEL_CHARACTERS = 26  # that fit beside a panel
_SECONDS_UP_TO = 7200  # training times beyond are in hours: numbers of five digits touch
_TITLE_CHARACTERS = 28  # that fit above one of several panels


def curve_settings(curves: Sequence[Curve], most: int = MAX_CURVE_PANELS) -> tuple[Setting, ...]:
    """Return the settings whose curves are shown: all, or a few spread evenly over the plan."""
    return spread_evenly(narrowest(curve.setting for curve in curves if len(curve.epochs) > 1), most)


def spread_evenly(settings: Sequence[Setting], most: int) -> tuple[Setting, ...]:
    """Return all settings, or a few spread evenly over them."""
    if len(settings) <= most:
        return tuple(settings)
    last = len(settings) - 1
    return tuple(settings[round(place * last / (most - 1))] for place in range(most))


def draw_curves(
    summary: Ablation, curves: Sequence[Curve], settings: Sequence[Setting], *, by_time: bool = False
) -> Figure:
    """Draw curves as small multiples with one legend.

    Args:
        summary: The study.
        curves: Curves of one metric.
        settings: Settings to draw, at least one.
        by_time: Whether the axis is training time instead of epochs.
    """
    figure, panels = multiples(settings)
    for axes, setting in zip(panels, settings, strict=True):
        _fill_panel(axes, summary, curves, setting, by_time=by_time)
    if not summary.has_variants:
        legend_above(figure, panels[0])
    return figure


def multiples(settings: Sequence[Setting]) -> tuple[Figure, list[Axes]]:
    """Return a figure with a titled panel for each setting, at least one."""
    columns = min(3, len(settings))
    lines = -(-len(settings) // columns)
    figure = Figure(figsize=(max(4.7, 3.2 * columns), 2.7 * lines), layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axes, setting in zip(panels, settings, strict=False):
        levels = setting.text.split(", ") if setting.levels else []
        axes.set_title("\n".join(fill(level, _TITLE_CHARACTERS) for level in levels))
    for axes in panels[len(settings) :]:
        axes.set_axis_off()
    return figure, panels[: len(settings)]


def draw_curve_panel(
    summary: Ablation, curves: Sequence[Curve], setting: Setting, *, by_time: bool = False
) -> Figure:
    """Draw one panel of curves, without title and legend, on the scale of all panels."""
    figure, axes = panel(CURVE_PANEL)
    _fill_panel(axes, summary, curves, setting, by_time=by_time)
    return figure


def _fill_panel(
    axes: Axes, summary: Ablation, curves: Sequence[Curve], setting: Setting, *, by_time: bool
) -> None:
    styles, metric_spec = styles_of(summary), curves[0].metric_spec
    in_hours = by_time and max(max(curve.times_s, default=0.0) for curve in curves) > _SECONDS_UP_TO
    for curve in curves:
        if curve.setting.covers(setting):
            times = [time_s / 3600 if in_hours else time_s for time_s in curve.times_s]
            _draw_curve(axes, curve, styles[curve.method], times if by_time else curve.epochs)
    scale_values(axes, metric_spec, [interval.mean for curve in curves for interval in curve.intervals])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10], integer=not by_time))
    axes.set_xlabel(f"training time ({'h' if in_hours else 's'})" if by_time else "epoch")


def scale_values(axes: Axes, metric_spec: MetricSpec, means: Sequence[float]) -> None:
    """Name the metric beside the panel, and fit the scale to means, so that wide bands are cut off."""
    shown = [metric_spec.scale * mean for mean in means]
    margin = 0.15 * (max(shown) - min(shown)) + (1 if metric_spec.is_share else 0.01 * max(map(abs, shown)))
    axes.set_ylim(
        max(lowest(metric_spec), min(shown) - margin), min(highest(metric_spec), max(shown) + margin)
    )
    label = metric_spec.heading.removeprefix("validation ") + metric_spec.direction
    axes.set_ylabel(fill(label, _LABEL_CHARACTERS))


def _draw_curve(axes: Axes, curve: Curve, style: Style, places: Sequence[float]) -> None:
    scale = curve.metric_spec.scale
    axes.plot(
        places,
        [scale * interval.mean for interval in curve.intervals],
        color=style.color,
        linestyle=style.dash,
        linewidth=1.8,
        label=curve.method,
    )
    if all(interval.is_conclusive for interval in curve.intervals):
        low = [scale * interval.low for interval in curve.intervals]
        high = [scale * interval.high for interval in curve.intervals]
        axes.fill_between(places, low, high, color=style.color, alpha=0.15, linewidth=0)
