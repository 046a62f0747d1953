"""Plot of the expected best by the budget of a search, for the arms of a tuned comparison."""

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from l2rw_ray.report.ablation.plots.curves import (
    CURVE_PANEL,
    MAX_CURVE_PANELS,
    multiples,
    scale_values,
    spread_evenly,
)
from l2rw_ray.report.ablation.plots.styles import styles_of
from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.design_points.setting import Setting, narrowest
from l2rw_ray.report.document.canvas import legend_above, panel
from l2rw_ray.report.document.palette import Style
from l2rw_ray.report.document.section import Plot
from l2rw_ray.report.search.budgets import BudgetCurve, SearchBudgets

_NAME, _MARKED = "search-budget", 20
"""Name of the plot, and points of a curve up to which each is marked."""


def budget_plot(summary: Ablation, found: SearchBudgets) -> Plot:
    """Return the curves of all arms, a panel for each setting; call inside `drawing()`."""
    settings = spread_evenly(narrowest(curve.setting for curve in found.curves), MAX_CURVE_PANELS)
    figure, grid = multiples(settings)
    for axes, setting in zip(grid, settings, strict=True):
        _fill_panel(axes, summary, found, setting)
    legend_above(figure, grid[0])
    title = f"expected best {found.metric_spec.label} by budget of the search"
    if len(settings) == 1:
        return Plot(_NAME, title, figure)
    panels = []
    for number, setting in enumerate(settings):
        own, axes = panel(CURVE_PANEL)
        _fill_panel(axes, summary, found, setting)
        panels.append(Plot(f"{_NAME}-{number}", setting.text, own))
    styles = styles_of(summary)
    arms = dict.fromkeys(curve.arm for curve in found.curves)
    return Plot(_NAME, title, figure, tuple(panels), tuple((arm, styles[arm]) for arm in arms))


def _fill_panel(axes: Axes, summary: Ablation, found: SearchBudgets, setting: Setting) -> None:
    styles = styles_of(summary)
    for curve in found.curves:
        if curve.means and curve.setting.covers(setting):
            _draw_curve(axes, curve, styles[curve.arm], found.metric_spec.scale)
    scale_values(axes, found.metric_spec, [mean.mean for curve in found.curves for mean in curve.means])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.set_xlabel("configurations tried")


def _draw_curve(axes: Axes, curve: BudgetCurve, style: Style, scale: float) -> None:
    tried = range(1, len(curve.means) + 1)
    axes.plot(
        tried,
        [scale * mean.mean for mean in curve.means],
        color=style.color,
        linestyle=style.dash,
        marker=style.marker if len(tried) <= _MARKED else "",
        markersize=4,
        linewidth=1.8,
        label=curve.arm,
    )
    low, high = ([scale * limits[side] for limits in curve.band] for side in (0, 1))
    axes.fill_between(tried, low, high, color=style.color, alpha=0.12, linewidth=0)
