"""Tables of a report in the style of the package booktabs."""

from collections.abc import Iterable, Iterator

from l2rw_ray.report.document.section import Section
from l2rw_ray.report.document.table import Table, TableCell
from l2rw_ray.report.latex.text import escaped, label_of


def tables_of(sections: Iterable[Section]) -> Iterator[Table]:
    """Yield the tables of sections in the order they are shown, those of folded parts included."""
    for section in sections:
        yield from section.tables
        yield from tables_of(section.folded)


def latex_table(table: Table, study: str) -> str:
    """Return a table as a `table` environment with caption and label; it needs the package booktabs.

    Where all intervals are over the same number of seeds, the caption says so, else each cell does.

    Args:
        table: The table.
        study: Name of the study, for the label.
    """
    seeds = {cell.seeds for row in table.rows for cell in row.cells if cell.seeds is not None}
    shared = seeds.pop() if len(seeds) == 1 else None
    note = f" {table.note}" if table.note else ""
    number = "" if shared is None else f" $n = {shared}$ seeds."
    rows = [[escaped(row.name), *(_cell(cell, shared) for cell in row.cells)] for row in table.rows]
    align = "l" * (1 + len(table.columns)) if table.is_text else "l" + "r" * len(table.columns)
    return "\n".join(
        [
            r"\begin{table}[htbp]",
            r"  \centering",
            f"  \\caption{{{escaped(table.title)}.{escaped(note)}{number}}}",
            f"  \\label{{tab:{label_of(study)}-{label_of(table.key)}}}",
            f"  \\begin{{tabular}}{{@{{}}{align}@{{}}}}",
            r"    \toprule",
            _line([escaped(name) for name in (table.corner, *table.columns)]),
            r"    \midrule",
            *map(_line, rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _line(cells: list[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _cell(cell: TableCell, shared: int | None) -> str:
    text = f"\\textbf{{{escaped(cell.text)}}}" if cell.is_clear else escaped(cell.text)
    if not cell.detail:
        return text
    seeds = f", $n = {cell.seeds}$" if cell.seeds is not None and shared is None else ""
    return f"{text} ({escaped(cell.detail)}{seeds})"
