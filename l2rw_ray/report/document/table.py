"""A table of text, independent of the output format."""

from dataclasses import dataclass


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
