"""Tables of the report in a notebook."""

from markupsafe import Markup, escape

from l2rw_ray.api import html
from l2rw_ray.report.document.table import Table, TableCell


def report_table(shown: Table) -> Markup:
    """Return a table of the report with its title and its note."""
    rows = [(row.name, *map(_cell, row.cells)) for row in shown.rows]
    parts = (html.heading(shown.title, ""), html.table((shown.corner, *shown.columns), rows))
    return Markup().join((*parts, html.paragraph(shown.note)))


def _cell(cell: TableCell) -> Markup:
    text = Markup("<b>{}</b>").format(cell.text) if cell.is_clear else escape(cell.text)
    seeds = f", n = {cell.seeds}" if cell.seeds is not None else ""
    return text + (Markup(" ({}{})").format(cell.detail, seeds) if cell.detail else "")
