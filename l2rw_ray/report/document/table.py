"""A table as text, whatever it is rendered to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A cell of a table: what matters, and what qualifies it.

    Attributes:
        text: The value.
        detail: Its interval, or why there is no value.
        seeds: How many seeds the interval is over, None without interval.
        is_clear: Whether it is a difference whose interval excludes zero.
    """

    text: str
    detail: str = ""
    seeds: int | None = None
    is_clear: bool = False


@dataclass(frozen=True)
class Line:
    """A row of a table."""

    name: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Table:
    """A table with row names in its first column.

    Attributes:
        key: Short name, for anchors.
        title: What it shows, with the unit.
        corner: Heading of the row names.
        columns: Headings of the others.
        lines: Its rows.
        note: How to read it.
        is_text: Whether its entries are words, not numbers.
    """

    key: str
    title: str
    corner: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    note: str = ""
    is_text: bool = False
