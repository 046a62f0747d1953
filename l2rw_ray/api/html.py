"""Small pieces of HTML that objects show themselves with in a notebook."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

MAX_ROWS = 20
"""Rows of a table that a notebook shows."""
_CELL = "text-align:left;padding:0 1em 0 0"


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> Markup:
    """Return a table of texts, of many rows the first; everything is escaped."""
    head = Markup().join(Markup("<th style='{}'>{}</th>").format(_CELL, name) for name in headings)
    body = Markup().join(
        Markup("<tr>{}</tr>").format(
            Markup().join(Markup("<td style='{}'>{}</td>").format(_CELL, cell) for cell in row)
        )
        for row in rows[:MAX_ROWS]
    )
    more = paragraph(f"and {len(rows) - MAX_ROWS} more") if len(rows) > MAX_ROWS else ""
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>{}").format(head, body, more)


def paragraph(text: str) -> Markup:
    """Return a paragraph of text."""
    return Markup("<p>{}</p>").format(text)


def heading(name: str, text: str) -> Markup:
    """Return a name in bold, and a text after it."""
    return Markup("<p><b>{}</b> {}</p>").format(name, text)


def bar(done: int, total: int) -> Markup:
    """Return a progress bar."""
    return Markup("<progress value='{}' max='{}' style='width:24em'></progress>").format(done, max(total, 1))


def lines(texts: Iterable[str]) -> Markup:
    """Return lines of text as they are, in a fixed width."""
    return Markup("<pre style='margin:0'>{}</pre>").format("\n".join(texts))
