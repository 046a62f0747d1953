"""The report as one HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence

from l2rw_ray.report.ablation.comparison_tables import difference_table, interaction_table
from l2rw_ray.report.ablation.curve_plots import (
    MAX_FURTHER_PANELS,
    curve_settings,
    draw_curve_panel,
    draw_curves,
)
from l2rw_ray.report.ablation.equal_compute import equal_compute_table
from l2rw_ray.report.ablation.plots import draw_differences, draw_effect
from l2rw_ray.report.ablation.styles import styles_of
from l2rw_ray.report.ablation.summary import Ablation, Curve
from l2rw_ray.report.ablation.tables import accuracy_tables, cost_table, weight_table
from l2rw_ray.report.design_points.labels import METRICS
from l2rw_ray.report.design_points.setting import Setting, narrowest
from l2rw_ray.report.document.html import Panel, _page
from l2rw_ray.report.document.markdown import _text
from l2rw_ray.report.document.palette import Style
from l2rw_ray.report.document.section import Picture
from l2rw_ray.report.document.style import drawing
from l2rw_ray.report.document.svg import inline_svg
from l2rw_ray.statistics import Interval

_MEANS_NOTE = (
    "Points are means over seeds, bars their 95 % intervals. Points are shifted sideways so that bars do "
    "not hide each other."
)


def render_html(summary: Ablation) -> str:
    """The page: style and figures inline, every text of a configuration escaped."""
    headline = _headline(summary)
    tables = (*([summary.answer] if summary.answer else ()), *accuracy_tables(summary))
    main, *further = tables or (None,)
    with drawing():
        answers, curves = _answer_panels(summary), _curve_panels(summary)
        time_curves, weight_curves = _time_panels(summary), _weight_panels(summary)
    return _page(
        study=summary,
        number=summary.metric_spec.signed(headline.mean) if headline else "",
        number_unit="points" if summary.metric_spec.is_share else summary.metric_spec.label,
        number_is_clear=headline is not None and summary.pooled[0].is_clear,
        answers=answers,
        answer_note=_MEANS_NOTE,
        curves=curves,
        curve_count=len(narrowest(curve.setting for curve in summary.curves)),
        legend=_legend(summary, summary.curves),
        weight_legend=_legend(summary, [c for curves in summary.weight_curves.values() for c in curves]),
        table=main,
        further_tables=further,
        differences=difference_table(summary),
        interactions=interaction_table(summary),
        equal_compute=equal_compute_table(summary),
        time_curves=time_curves,
        weights=weight_table(summary),
        weight_curves=weight_curves,
        more_tables=[table for table in (*summary.details, cost_table(summary)) if table],
        points_name="design points",
        has_comparisons=bool(summary.pooled),
    )


def _headline(summary: Ablation) -> Interval | None:
    """The difference at the top of the page, None where nothing can be concluded."""
    leads = summary.pooled and summary.answer is None
    interval = summary.pooled[0].difference.interval if leads else None
    return interval if interval is not None and interval.is_conclusive else None


def _answer_panels(summary: Ablation) -> list[Panel]:
    metric_spec = summary.metric_spec.label
    panels = []
    for number, effect in enumerate(summary.effects):
        if effect.points:
            title = f"{metric_spec[0].upper()}{metric_spec[1:]} by {effect.factor.name}"
            svg = inline_svg(draw_effect(summary, effect), f"effect{number}", title)
            panels.append(Panel(title, svg))
    differences = draw_differences(summary)
    if differences is not None:
        title = f"Paired difference to {summary.control}"
        panels.append(Panel(title, inline_svg(differences, "differences", title)))
    return panels


def _legend(summary: Ablation, curves: Sequence[Curve]) -> list[tuple[str, Style]]:
    """The arms that have curves; none where each panel is an arm of its own."""
    drawn = {curve.arm for curve in curves}
    styles = styles_of(summary)
    return [] if summary.has_variants else [(arm, styles[arm]) for arm in summary.arms if arm in drawn]


def _curve_panels(summary: Ablation) -> list[Panel]:
    return _panels(summary, summary.curves, curve_settings(summary.curves), "curve", "Learning curves")


def _time_panels(summary: Ablation) -> list[Panel]:
    """The same over training time, of a few settings; none where arms are not set at equal times."""
    if not summary.equal_compute:
        return []
    settings = curve_settings(summary.curves, MAX_FURTHER_PANELS)
    return _panels(summary, summary.curves, settings, "time", "Learning curves over training time")


def _weight_panels(summary: Ablation) -> list[Panel]:
    """How the weights behaved per epoch, in a few settings."""
    return [
        panel
        for name, curves in summary.weight_curves.items()
        for panel in _panels(
            summary,
            curves,
            curve_settings(curves, MAX_FURTHER_PANELS),
            name.replace("_", "-"),
            METRICS[name].label,
        )
    ]


def _panels(
    summary: Ablation, curves: Sequence[Curve], settings: Sequence[Setting], key: str, title: str
) -> list[Panel]:
    panels = []
    for number, setting in enumerate(settings):
        name = setting.text if setting.levels else ""
        figure = draw_curve_panel(summary, curves, setting, by_time=key == "time")
        panels.append(Panel(name, inline_svg(figure, f"{key}{number}", f"{title} {name}")))
    return panels


def _pictures(summary: Ablation) -> list[Picture]:
    """The figures of a study of design points."""
    label = summary.metric_spec.label
    pictures = [
        Picture(
            "effect" if number == 0 else f"effect-{number + 1}",
            f"{label} by {effect.factor.name}",
            draw_effect(summary, effect),
        )
        for number, effect in enumerate(summary.effects)
        if effect.points
    ]
    differences = draw_differences(summary)
    if differences is not None:
        pictures.append(Picture("differences", f"paired difference to {summary.control}", differences))
    settings = curve_settings(summary.curves)
    if settings:
        curves = draw_curves(summary, summary.curves, settings)
        pictures.append(Picture("learning-curves", "learning curves", curves))
        if summary.equal_compute:
            few = curve_settings(summary.curves, MAX_FURTHER_PANELS)
            by_time = draw_curves(summary, summary.curves, few, by_time=True)
            pictures.append(Picture("time-curves", "learning curves over training time", by_time))
    for name, curves_of_weights in summary.weight_curves.items():
        few = curve_settings(curves_of_weights, MAX_FURTHER_PANELS)
        if few:
            figure = draw_curves(summary, curves_of_weights, few)
            key = f"weights-{name.replace('_', '-')}"
            pictures.append(Picture(key, f"{METRICS[name].label} per epoch", figure))
    return pictures


def render_markdown(summary: Ablation, figures: Mapping[str, str]) -> str:
    """The report's text.

    Args:
        summary: The study.
        figures: Title to path, relative to the report.
    """
    answer = [summary.answer] if summary.answer else []
    others = (
        difference_table(summary),
        interaction_table(summary),
        equal_compute_table(summary),
        *summary.details,
        weight_table(summary),
        summary.signatures,
        cost_table(summary),
    )
    return _text(
        study=summary,
        figures=figures,
        figure_note="Points and lines are means over seeds, bars and bands their 95 % intervals.",
        curves_shown=len(curve_settings(summary.curves)),
        curves_all=len(narrowest(curve.setting for curve in summary.curves)),
        tables=[*answer, *accuracy_tables(summary), *(table for table in others if table)],
        points_name="design points",
        has_comparisons=bool(summary.pooled),
    )
