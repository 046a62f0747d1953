"""The report as Markdown, with its figures as files beside it."""

import re
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from l2rw_ray.report.figures import curve_settings
from l2rw_ray.report.render_html import COMMAND
from l2rw_ray.report.summary import Ablation, narrowest
from l2rw_ray.report.tables import Entry, accuracy_tables, cost_table, difference_table, weight_table


def render_markdown(summary: Ablation, figures: Mapping[str, str]) -> str:
    """The report's text.

    Args:
        summary: The study.
        figures: Title to path, relative to the report.
    """
    environment = Environment(  # noqa: S701  # Markdown; texts pass the filter `plain`
        loader=PackageLoader("l2rw_ray.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = plain
    environment.filters["entry"] = _entry
    others = (difference_table(summary), weight_table(summary), cost_table(summary))
    text = environment.get_template("report.md.j2").render(
        study=summary,
        figures=figures,
        curves_shown=len(curve_settings(summary)),
        curves_all=len(narrowest(curve.setting for curve in summary.curves)),
        tables=[*accuracy_tables(summary), *(table for table in others if table)],
        command=COMMAND,
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def plain(text: str) -> str:
    """The text with everything escaped that Markdown or HTML would take for markup, on one line."""
    escaped = re.sub(r"([\\`*_\[\]|#])", r"\\\1", " ".join(str(text).split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _entry(entry: Entry) -> str:
    text = f"**{plain(entry.text)}**" if entry.is_clear else plain(entry.text)
    seeds = f", n = {entry.seeds}" if entry.seeds is not None else ""
    return f"{text} ({plain(entry.detail)}{seeds})" if entry.detail else text
