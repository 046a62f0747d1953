"""Row groups of Parquet files: the unit of reading for tables that do not fit into memory."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from l2rw_ray.data.tables.table import Table


@dataclass(frozen=True)
class RowGroup:
    """One of the row groups of a table.

    Attributes:
        path: Its file.
        number: Its index among the file's row groups, from 0.
        first: Its first row, counted in the file.
        start: Its first row, counted over all files of the table.
        rows: Number of rows.
    """

    path: str
    number: int
    first: int
    start: int
    rows: int


def row_groups(table: "Table") -> tuple[RowGroup, ...]:
    """Return the row groups with rows of a table of Parquet files, in order, from the files' footers.

    Raises:
        DataError, OutOfReachError: A file cannot be read.
    """
    import pyarrow.parquet as pq

    from l2rw_ray.data.tables.table import readable

    groups, start = list[RowGroup](), 0
    for file in table.files:
        with readable(table.field, table.form, file.path):
            footer = pq.read_metadata(file.path, filesystem=table.filesystem)
        first = 0
        for number in range(footer.num_row_groups):
            rows = footer.row_group(number).num_rows
            if rows:
                groups.append(RowGroup(file.path, number, first, start + first, rows))
            first += rows
        start += first
    return tuple(groups)
