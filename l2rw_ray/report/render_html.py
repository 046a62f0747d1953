"""The report as one HTML file that needs nothing else."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from l2rw_ray.report.comparison_tables import difference_table, interaction_table
from l2rw_ray.report.curve_figures import MOST_FURTHER_PANELS, curve_settings, draw_curve_panel
from l2rw_ray.report.drawing import drawing
from l2rw_ray.report.equal_compute import equal_compute_table
from l2rw_ray.report.figures import draw_differences, draw_effect
from l2rw_ray.report.labels import MEASURES
from l2rw_ray.report.palette import Style, styles_of
from l2rw_ray.report.search import SearchSummary
from l2rw_ray.report.search_figures import search_pictures
from l2rw_ray.report.search_tables import search_tables
from l2rw_ray.report.setting import Setting, narrowest
from l2rw_ray.report.summary import Ablation, Curve
from l2rw_ray.report.svg import inline_svg
from l2rw_ray.report.tables import accuracy_tables, cost_table, weight_table
from l2rw_ray.statistics import Interval

COMMAND = "l2rw-ray run study.yaml"
_MEANS_NOTE = (
    "Points are means over seeds, bars their 95 % intervals. Points are shifted sideways so that bars do "
    "not hide each other."
)
SEARCH_NOTE = "Points are configurations, means over their seeds; the best one is marked."


@dataclass(frozen=True)
class Panel:
    """A figure of the page."""

    title: str
    svg: Markup


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
        number=summary.measure.signed(headline.mean) if headline else "",
        number_unit="points" if summary.measure.is_share else summary.measure.label,
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


def render_search_html(summary: SearchSummary) -> str:
    """The page of a search, made likewise."""
    with drawing():
        panels = [
            Panel(
                picture.title[0].upper() + picture.title[1:],
                inline_svg(picture.figure, f"figure{number}", picture.title),
            )
            for number, picture in enumerate(search_pictures(summary))
        ]
    main, *further = search_tables(summary) or (None,)
    return _page(
        study=summary,
        number="",
        number_unit="",
        number_is_clear=False,
        answers=panels,
        answer_note=SEARCH_NOTE,
        curves=[],
        curve_count=0,
        legend=[],
        weight_legend=[],
        table=main,
        further_tables=[],
        differences=None,
        interactions=None,
        equal_compute=None,
        time_curves=[],
        weights=None,
        weight_curves=[],
        more_tables=further,
        points_name="configurations",
        has_comparisons=False,
    )


def _page(**fields: Any) -> str:
    return fill_page("report.html.j2", **fields)


def fill_page(template: str, **fields: Any) -> str:
    """A page from one of the templates; all texts are escaped, and a field left out is an error."""
    environment = Environment(
        loader=PackageLoader("l2rw_ray.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = environment.get_template("sort.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(
        command=COMMAND,
        script=Markup(script),  # noqa: S704  # our own, with nothing of a study in it
        script_hash=f"sha256-{digest}",
        **fields,
    )


def _headline(summary: Ablation) -> Interval | None:
    """The difference at the top of the page, None where nothing can be concluded."""
    leads = summary.pooled and summary.answer is None
    interval = summary.pooled[0].difference.interval if leads else None
    return interval if interval is not None and interval.is_conclusive else None


def _answer_panels(summary: Ablation) -> list[Panel]:
    measure = summary.measure.label
    panels = []
    for number, effect in enumerate(summary.effects):
        if effect.points:
            title = f"{measure[0].upper()}{measure[1:]} by {effect.factor.name}"
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
    settings = curve_settings(summary.curves, MOST_FURTHER_PANELS)
    return _panels(summary, summary.curves, settings, "time", "Learning curves over training time")


def _weight_panels(summary: Ablation) -> list[Panel]:
    """How the weights behaved per epoch, in a few settings."""
    return [
        panel
        for name, curves in summary.weight_curves.items()
        for panel in _panels(
            summary,
            curves,
            curve_settings(curves, MOST_FURTHER_PANELS),
            name.replace("_", "-"),
            MEASURES[name].label,
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
