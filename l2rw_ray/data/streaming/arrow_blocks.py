"""Rows that were read as Arrow tables, which processes pass to each other without a copy."""

from typing import TYPE_CHECKING

import numpy as np

from l2rw_ray.data.streaming.row_reader import RowFormat, Rows
from l2rw_ray.data.tables.bad_rows import Array

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMN = "rows"


def as_block(rows: Rows, form: RowFormat) -> "pa.Table":
    """Pack rows into a table of one column, each cell the bytes of one row.

    Args:
        rows: Arrays of the format, or one array of all of them.
        form: The format.
    """
    import pyarrow as pa

    if form.shape is None:
        ends = np.cumsum([0, *(row.nbytes for row in rows)], dtype=np.int64)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(np.concatenate(rows))]
        return pa.table({_COLUMN: pa.Array.from_buffers(pa.large_binary(), len(rows), buffers)})
    values = np.ascontiguousarray(rows)
    buffers = [None, pa.py_buffer(values)]
    return pa.table({_COLUMN: pa.Array.from_buffers(pa.binary(form.row_bytes), len(rows), buffers)})


def from_block(block: "pa.Table", form: RowFormat) -> Rows:
    """Return a copy of the rows of one table, or of several concatenated, that `as_block` made.

    Args:
        block: The table.
        form: The format of the rows.

    Returns:
        One array of all rows, [B, …]; a list of arrays where rows have any length.
    """
    if form.shape is None:
        return [row for chunk in block.column(_COLUMN).chunks for row in _rows(chunk, form)]
    values, done = np.empty((len(block), *form.shape), dtype=form.dtype), 0
    for chunk in block.column(_COLUMN).chunks:
        size = form.row_bytes
        start, end = chunk.offset * size, (chunk.offset + len(chunk)) * size
        content = np.frombuffer(chunk.buffers()[1], dtype=np.uint8)[start:end]
        values[done : done + len(chunk)] = content.view(form.dtype).reshape(-1, *form.shape)
        done += len(chunk)
    return values


def _rows(chunk: "pa.Array", form: RowFormat) -> list[Array]:
    _, offsets, content = chunk.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
    values = np.frombuffer(content, dtype=np.uint8)[ends[0] : ends[-1]].copy().view(form.dtype)
    return np.split(values, (ends[1:-1] - ends[0]) // form.dtype.itemsize)
