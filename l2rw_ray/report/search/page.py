"""The HTML page and the Markdown text of a search's report."""

from collections.abc import Mapping

from l2rw_ray.report.document.html import Panel, _page
from l2rw_ray.report.document.markdown import _text
from l2rw_ray.report.document.style import drawing
from l2rw_ray.report.document.svg import inline_svg
from l2rw_ray.report.search.plots import search_pictures
from l2rw_ray.report.search.summary import SearchSummary
from l2rw_ray.report.search.tables import search_tables

SEARCH_NOTE = "Points are configurations, means over their seeds; the best one is marked."


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


def render_search_markdown(summary: SearchSummary, figures: Mapping[str, str]) -> str:
    """The text of a search's report, made likewise."""
    return _text(
        study=summary,
        figures=figures,
        figure_note=SEARCH_NOTE,
        curves_shown=0,
        curves_all=0,
        tables=[*search_tables(summary), *([summary.signatures] if summary.signatures else [])],
        points_name="configurations",
        has_comparisons=False,
    )
