"""The sections of a search, in order."""

from l2rw_ray.report.document.section import Section, table_section
from l2rw_ray.report.provenance.label_noise import label_noise_sections
from l2rw_ray.report.search.plots import search_plots
from l2rw_ray.report.search.summary import SearchSummary
from l2rw_ray.report.search.tables import search_tables

_NOTE = "Points are configurations, means over their seeds; the best one is marked."


def search_sections(summary: SearchSummary) -> list[Section]:
    """Return everything between the finding and what was run; call inside `drawing()`."""
    plots = Section("The answer in plots", search_plots(summary), note=_NOTE, is_wide=True)
    signatures = [summary.signatures] if summary.signatures else []
    tables = [table_section(table) for table in (*search_tables(summary), *signatures)]
    shown = [] if plots.is_empty else [plots]
    return [*shown, *tables, *label_noise_sections(summary.label_noise)]
