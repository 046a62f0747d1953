"""A scaling report as a page and as a text."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from l2rw_ray.report.design_points.labels import MetricSpec
from l2rw_ray.report.document.html import fill_page
from l2rw_ray.report.document.markdown import fill_text
from l2rw_ray.report.document.section import Section, inline_panels
from l2rw_ray.report.scaling.summary import ScalingSummary

_RATIO = MetricSpec("overhead ratio", "", 1, 2)
_POINTS = "points"


def scaling_page(summary: ScalingSummary, sections: Sequence[Section]) -> str:
    """The page: style and figures inline, every text of a configuration escaped.

    Args:
        summary: The study.
        sections: Its sections; call inside `drawing()`.
    """
    panels: Mapping[str, Markup] = inline_panels(sections)
    return fill_page(
        "scaling.html.j2",
        study=summary,
        number="" if summary.median_ratio is None else _RATIO.text(summary.median_ratio),
        number_unit="plain steps, median",
        number_is_clear=False,
        sections=sections,
        panels=panels,
        points_name=_POINTS,
    )


def scaling_text(summary: ScalingSummary, sections: Sequence[Section]) -> str:
    """The same as Markdown, with its figures as files beside it."""
    return fill_text("scaling.md.j2", study=summary, sections=sections, points_name=_POINTS)
