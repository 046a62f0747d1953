"""The report as one HTML file that needs nothing else."""

from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from l2rw_ray.report.drawing import drawing
from l2rw_ray.report.figures import curve_settings, draw_curve_panel, draw_differences, draw_effect
from l2rw_ray.report.palette import styles_of
from l2rw_ray.report.search import SearchSummary
from l2rw_ray.report.search_figures import search_figures
from l2rw_ray.report.search_tables import search_tables
from l2rw_ray.report.summary import Ablation, narrowest
from l2rw_ray.report.svg import inline_svg
from l2rw_ray.report.tables import accuracy_tables, cost_table, difference_table, weight_table
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
    return _page(
        study=summary,
        number=summary.measure.signed(headline.mean) if headline else "",
        number_unit="points" if summary.measure.is_share else summary.measure.label,
        number_is_clear=headline is not None and headline.excludes_zero,
        answers=answers,
        answer_note=_MEANS_NOTE,
        curves=curves,
        curve_count=len(narrowest(curve.setting for curve in summary.curves)),
        legend=[] if summary.has_variants else [(arm, styles_of(summary)[arm]) for arm in summary.arms],
        table=main,
        further_tables=further,
        differences=difference_table(summary),
        more_tables=[
            table for table in (*summary.details, weight_table(summary), cost_table(summary)) if table
        ],
        points_name="design points",
    )


def render_search_html(summary: SearchSummary) -> str:
    """The page of a search, made likewise."""
    with drawing():
        panels = [
            Panel(title[0].upper() + title[1:], inline_svg(figure, f"figure{number}", title))
            for number, (title, (_, figure)) in enumerate(search_figures(summary).items())
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
        table=main,
        further_tables=[],
        differences=None,
        more_tables=further,
        points_name="configurations",
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
    return environment.get_template(template).render(command=COMMAND, **fields)


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


def _curve_panels(summary: Ablation) -> list[Panel]:
    panels = []
    for number, setting in enumerate(curve_settings(summary)):
        title = setting.text if setting.levels else ""
        svg = inline_svg(draw_curve_panel(summary, setting), f"curve{number}", f"Learning curves {title}")
        panels.append(Panel(title, svg))
    return panels
