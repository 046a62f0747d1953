"""What the columns of a table hold, from its first rows."""

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from l2rw_ray.data.tables.csv_format import CsvFormat
from l2rw_ray.data.tables.table import is_text, plain_type, readable
from l2rw_ray.data.tables.table_files import ROWS_AT_A_TIME, ParquetFormat, TableFormat, find_files
from l2rw_ray.errors import DataError

_BATCHES = 20
"""Batches of rows that are looked at."""


class ColumnKind(StrEnum):
    """What a column holds."""

    WHOLE = "whole numbers"
    NUMBER = "numbers"
    TEXT = "text"
    IMAGE = "images"
    OTHER = "other"


@dataclass(frozen=True)
class ColumnDescription:
    """A column, by its first rows.

    Attributes:
        name: Its name.
        kind: What it holds.
        values: Number of distinct values; 0 for images.
        missing: Number of missing values.
        characters: Mean length of its texts; 0 for others.
        smallest: Occurrences of its rarest value.
    """

    name: str
    kind: ColumnKind
    values: int
    missing: int
    characters: float
    smallest: int


@dataclass(frozen=True)
class TableDescription:
    """A table.

    Attributes:
        source: Name of the source that reads it.
        rows: All of its rows.
        seen: Rows that were looked at.
        columns: Its columns, in order.
    """

    source: str
    rows: int
    seen: int
    columns: tuple[ColumnDescription, ...]


def describe_table(given: str, field: str) -> TableDescription:
    """Describe a Parquet or CSV file, or a folder of them.

    Args:
        given: Path or URI.
        field: Field or option that names it, for error messages.

    Raises:
        DataError: There is no such table, or it cannot be read.
    """
    for form in (ParquetFormat(), CsvFormat()):
        filesystem, files = find_files(given, form.endings)
        if files and files[0].path.endswith(form.endings):
            return _described(form, filesystem, files, field)
    raise DataError(field, given, "no Parquet or CSV file", "give the path of one, or of a folder of them")


def _described(form: TableFormat, filesystem: Any, files: Any, field: str) -> TableDescription:
    with readable(field, form, files[0].path):
        sizes = [form.columns_and_rows(filesystem, file)[1] for file in files]
        schema = form.columns_and_rows(filesystem, files[0])[0]
        batches = list(islice(form.batches(filesystem, files[0], schema.names), _BATCHES))
    table = pa.Table.from_batches(batches) if batches else schema.empty_table()
    columns = tuple(_column(name, table[name]) for name in table.column_names)
    return TableDescription(
        "csv" if form.guesses_types else "parquet",
        sum(sizes),
        min(table.num_rows, _BATCHES * ROWS_AT_A_TIME),
        columns,
    )


def _column(name: str, values: Any) -> ColumnDescription:
    given = plain_type(values.type)
    kind = _kind(given, name)
    if kind is ColumnKind.IMAGE:
        return ColumnDescription(name, kind, 0, values.null_count, 0.0, 0)
    plain = values.cast(given) if pa.types.is_dictionary(values.type) else values
    counts = pc.value_counts(plain.combine_chunks().drop_null())
    occurrences = pc.struct_field(counts, "counts") if len(counts) else pa.array([], pa.int64())
    length = pc.mean(pc.utf8_length(plain)).as_py() if kind is ColumnKind.TEXT else 0.0
    smallest = pc.min(occurrences).as_py() or 0
    return ColumnDescription(name, kind, len(counts), values.null_count, length or 0.0, smallest)


def _kind(given: Any, name: str) -> ColumnKind:
    if is_text(given):
        return ColumnKind.TEXT
    if pa.types.is_integer(given) or pa.types.is_boolean(given):
        return ColumnKind.WHOLE
    if pa.types.is_floating(given) or pa.types.is_decimal(given):
        return ColumnKind.NUMBER
    is_bytes = pa.types.is_binary(given) or pa.types.is_large_binary(given)
    if is_bytes or (pa.types.is_struct(given) and given.get_field_index("bytes") >= 0):
        return ColumnKind.IMAGE
    return ColumnKind.OTHER
