"""Notes that a user wrote about a study in Markdown, which its report quotes."""

import re
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

_DEEPER = 2
"""Levels by which headings of notes go down, below those of the report."""
_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def read_notes(file: Path) -> str:
    """Return the notes; empty if there is no such file."""
    return file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""


def notes_html(notes: str) -> Markup:
    """Return notes as HTML: Markdown with tables, in which HTML is text and pictures are not loaded."""
    parser = _parser()
    tokens = parser.parse(notes)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{_deeper(int(token.tag[1:]))}"
    html = parser.renderer.render(tokens, parser.options, {})
    return Markup(html)  # noqa: S704  # HTML in notes is escaped by the parser


def notes_text(notes: str) -> str:
    """Return notes as Markdown below the headings of the report, in which HTML is text."""
    lines, tokens = notes.splitlines(), _parser().parse(notes)
    code = {
        line
        for token in tokens
        if token.type in ("fence", "code_block") and token.map
        for line in range(*token.map)
    }
    for token in tokens:
        if token.type == "heading_open" and token.map and token.markup.startswith("#"):
            first = token.map[0]
            lines[first] = "#" * (_deeper(len(token.markup)) - len(token.markup)) + lines[first].lstrip()
    return "\n".join(line if number in code else _TAG.sub("&lt;", line) for number, line in enumerate(lines))


def _deeper(level: int) -> int:
    return min(level + _DEEPER, 6)


def _parser() -> MarkdownIt:
    """Return a parser that writes no HTML of the author's, and links to no scripts."""
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
