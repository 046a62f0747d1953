"""Pieces of Markdown that generated pages are made of."""

from collections.abc import Sequence


def cell(text: str) -> str:
    """Return text as the content of a table cell: on one line, bars escaped."""
    return " ".join(text.split()).replace("|", "\\|")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; texts are Markdown.

    Args:
        head: Names of the columns.
        rows: Cells, row by row.
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell(text) for text in line)} |" for line in lines) + "\n"


def anchored(code: str, anchor: str) -> str:
    """Return inline code that links can point at."""
    return f"`{code}`{{ #{anchor} }}"


def heading(level: int, text: str, anchor: str) -> str:
    """Return a heading with an anchor of its own."""
    return f"{'#' * level} {text} {{ #{anchor} }}\n"


def codes(values: Sequence[str]) -> str:
    """Return values as inline code, separated by commas."""
    return ", ".join(f"`{value}`" for value in values)
