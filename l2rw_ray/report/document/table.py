"""A table of text, independent of the output format."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

MAX_ROWS = 200
"""Rows of a table on a page, which is to stay readable; the CSV files have all."""

R = TypeVar("R")


@dataclass(frozen=True)
class TableCell:
    """A cell of a table: a value and what qualifies it.

    Attributes:
        text: The value.
        detail: Its interval, or the reason why there is no value.
        seeds: How many seeds the interval is over, None without interval.
        is_clear: Whether it is shown bold, as a difference that was shown.
        image: Address of an image that the page shows before the value; empty for none.
    """

    text: str
    detail: str = ""
    seeds: int | None = None
    is_clear: bool = False
    image: str = ""


@dataclass(frozen=True)
class TableRow:
    """A row of a table."""

    name: str
    cells: tuple[TableCell, ...]


def shown(rows: Sequence[R]) -> Sequence[R]:
    """Return the rows that a page shows, at most `MAX_ROWS`."""
    return rows[:MAX_ROWS]


def left_out(rows: Sequence[object]) -> str:
    """Return a sentence on the rows beyond `MAX_ROWS`, which a page leaves out; empty without any."""
    if len(rows) <= MAX_ROWS:
        return ""
    return f"The first {MAX_ROWS:,} of {len(rows):,} rows are shown; the CSV files have all of them."


@dataclass(frozen=True)
class Table:
    """A table with row names in its first column.

    Attributes:
        key: Short name for anchors.
        title: What it shows, with the unit.
        corner: Heading of the row names.
        columns: Headings of the other columns.
        rows: Its rows.
        note: How to read it.
        is_text: Whether its cells are words, not numbers.
    """

    key: str
    title: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    note: str = ""
    is_text: bool = False

    @property
    def shown(self) -> tuple[TableRow, ...]:
        """The rows that a page shows."""
        return tuple(shown(self.rows))

    @property
    def shown_note(self) -> str:
        """How to read it, and how many rows are not shown."""
        return f"{left_out(self.rows)} {self.note}".strip()
