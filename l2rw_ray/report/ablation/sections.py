"""The sections of a study of design points, in order."""

from collections.abc import Sequence

from l2rw_ray.report.ablation.comparison_tables import difference_table, interaction_table
from l2rw_ray.report.ablation.equal_compute import equal_compute_table
from l2rw_ray.report.ablation.plots.budgets import budget_plot
from l2rw_ray.report.ablation.plots.curves import (
    MAX_FURTHER_PANELS,
    curve_settings,
    draw_curve_panel,
    draw_curves,
)
from l2rw_ray.report.ablation.plots.effects import draw_differences, draw_effect
from l2rw_ray.report.ablation.plots.styles import styles_of
from l2rw_ray.report.ablation.summary import Ablation, Curve
from l2rw_ray.report.ablation.tables import accuracy_tables, cost_table, weight_table
from l2rw_ray.report.design_points.labels import metric_spec_for
from l2rw_ray.report.design_points.setting import Setting, narrowest
from l2rw_ray.report.document.section import Plot, Section, table_section
from l2rw_ray.report.provenance.label_noise import label_noise_sections
from l2rw_ray.report.search.budgets import budget_table

_POINTS_NOTE = (
    "Points are means over seeds, bars their 95 % intervals. Points are shifted sideways so that bars do "
    "not hide each other. Bars of two arms may overlap although their paired difference is clear: the "
    "difference has its own plot and table."
)
_LINES_NOTE = "Lines are means over seeds, bands their 95 % intervals, cut off at the panel's edge."


def ablation_sections(summary: Ablation) -> list[Section]:
    """Return everything between the finding and what was run; call inside `drawing()`."""
    differences = (difference_table(summary), interaction_table(summary), summary.pooling, summary.multiverse)
    before, costs = (summary.signatures, *summary.details), cost_table(summary)
    sections = [
        Section("The answer in plots", answer_plots(summary), note=_POINTS_NOTE, is_wide=True),
        *_answer_tables(summary),
        *(table_section(table) for table in differences if table),
        *_learning_curves(summary),
        *_equal_compute(summary),
        _weights(summary),
        *label_noise_sections(summary.label_noise),
        *(table_section(table) for table in before if table),
        *_budgets(summary),
        *([table_section(costs)] if costs else []),
    ]
    return [section for section in sections if not section.is_empty]


def answer_plots(summary: Ablation) -> tuple[Plot, ...]:
    """Return the plots of the answer; call inside `drawing()`."""
    plots = [
        Plot(
            "effect" if number == 0 else f"effect-{number + 1}",
            f"{summary.metric_spec.label} by {effect.factor.name}",
            draw_effect(summary, effect),
        )
        for number, effect in enumerate(summary.effects)
        if effect.points
    ]
    differences = draw_differences(summary)
    if differences is not None:
        plots.append(Plot("differences", f"paired difference to {summary.control}", differences))
    return tuple(plots)


def _answer_tables(summary: Ablation) -> list[Section]:
    """Return a section of the first table, with the others folded."""
    tables = (*([summary.answer] if summary.answer else []), *accuracy_tables(summary))
    if not tables:
        return []
    main, *further = tables
    return [table_section(main, *map(table_section, further))]


def _learning_curves(summary: Ablation) -> list[Section]:
    settings = curve_settings(summary.curves)
    if not settings:
        return []
    plot = _curves_plot(summary, "learning-curves", "learning curves", summary.curves, settings)
    note = f"{_LINES_NOTE} {_left_out(summary.curves, settings)}".rstrip()
    return [Section("Learning curves on the validation set", (plot,), note=note)]


def _left_out(curves: Sequence[Curve], settings: Sequence[Setting]) -> str:
    """Return how many settings have a panel, where not all have one; else empty."""
    planned = len(narrowest(curve.setting for curve in curves))
    return f"{len(settings)} of {planned} settings are shown." if len(settings) < planned else ""


def _equal_compute(summary: Ablation) -> list[Section]:
    table, settings = equal_compute_table(summary), curve_settings(summary.curves, MAX_FURTHER_PANELS)
    if table is None:
        return []
    if not settings:
        return [table_section(table)]
    title = "learning curves over training time"
    plot = _curves_plot(summary, "time-curves", title, summary.curves, settings, by_time=True)
    note = _left_out(summary.curves, settings)
    return [table_section(table, Section("Learning curves over training time", (plot,), note=note))]


def _budgets(summary: Ablation) -> list[Section]:
    if summary.budgets is None:
        return []
    table = budget_table(summary.budgets)
    return [Section(table.title, (budget_plot(summary, summary.budgets),), (table,))]


def _weights(summary: Ablation) -> Section:
    table = weight_table(summary)
    plots = tuple(
        _curves_plot(
            summary,
            f"weights-{name.replace('_', '-')}",
            f"{metric_spec_for(name).label} per epoch",
            curves,
            settings,
        )
        for name, curves in summary.weight_curves.items()
        if (settings := curve_settings(curves, MAX_FURTHER_PANELS))
    )
    notes = dict.fromkeys(
        _left_out(curves, curve_settings(curves, MAX_FURTHER_PANELS))
        for curves in summary.weight_curves.values()
    )
    folded = (Section("Weights epoch by epoch", plots, note=" ".join(notes).strip()),) if plots else ()
    return Section("What the weights did", tables=(table,) if table else (), folded=folded)


def _curves_plot(
    summary: Ablation,
    name: str,
    title: str,
    curves: Sequence[Curve],
    settings: Sequence[Setting],
    *,
    by_time: bool = False,
) -> Plot:
    """Return curves in some settings as one plot, and as a panel for each setting."""
    panels = (
        Plot(
            f"{name}-{number}",
            setting.text if setting.levels else "",
            draw_curve_panel(summary, curves, setting, by_time=by_time),
        )
        for number, setting in enumerate(settings)
    )
    drawn, styles = {curve.method for curve in curves}, styles_of(summary)
    methods = [] if summary.has_variants else [method for method in summary.methods if method in drawn]
    figure = draw_curves(summary, curves, settings, by_time=by_time)
    return Plot(name, title, figure, tuple(panels), tuple((method, styles[method]) for method in methods))
