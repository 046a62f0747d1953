"""The report as Markdown, with its figures as files beside it."""

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from l2rw_ray.report.comparison_tables import difference_table, interaction_table
from l2rw_ray.report.curve_figures import curve_settings
from l2rw_ray.report.equal_compute import equal_compute_table
from l2rw_ray.report.render_html import COMMAND, SEARCH_NOTE
from l2rw_ray.report.search import SearchSummary
from l2rw_ray.report.search_tables import search_tables
from l2rw_ray.report.setting import narrowest
from l2rw_ray.report.summary import Ablation
from l2rw_ray.report.table import Entry
from l2rw_ray.report.tables import accuracy_tables, cost_table, weight_table


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


def _text(**fields: Any) -> str:
    return fill_text("report.md.j2", **fields)


def fill_text(template: str, **fields: Any) -> str:
    """A Markdown text from one of the templates; a field left out is an error."""
    environment = Environment(  # noqa: S701  # Markdown; texts pass the filter `plain`
        loader=PackageLoader("l2rw_ray.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = plain
    environment.filters["entry"] = _entry
    text = environment.get_template(template).render(command=COMMAND, **fields)
    return re.sub(r"\n{3,}", "\n\n", text)


def plain(text: str) -> str:
    """The text with everything escaped that Markdown or HTML would take for markup, on one line."""
    escaped = re.sub(r"([\\`*_\[\]|#])", r"\\\1", " ".join(str(text).split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _entry(entry: Entry) -> str:
    text = f"**{plain(entry.text)}**" if entry.is_clear else plain(entry.text)
    seeds = f", n = {entry.seeds}" if entry.seeds is not None else ""
    return f"{text} ({plain(entry.detail)}{seeds})" if entry.detail else text
