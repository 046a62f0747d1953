"""Rows on their way between processes."""

import numpy as np
import pyarrow as pa

from l2rw_ray.data.streaming.arrow_blocks import as_block, from_block
from l2rw_ray.data.streaming.row_reader import RowFormat


def test_blocks_carry_rows_also_where_they_are_cut_and_joined(pixels: np.ndarray) -> None:
    form = RowFormat(pixels.dtype, pixels.shape[1:])
    block = as_block(pixels[::2], form)
    assert np.array_equal(from_block(block, form), pixels[::2])
    joined = pa.concat_tables([block.slice(4, 2), block.slice(1, 3)])
    assert np.array_equal(from_block(joined, form), pixels[::2][[4, 5, 1, 2, 3]])


def test_blocks_carry_rows_of_any_length() -> None:
    rows = [np.arange(length, dtype=np.int32) + 7 for length in (3, 1, 0, 5, 2, 4)]
    form = RowFormat(np.dtype(np.int32), None)
    block = as_block(rows, form)
    assert all(map(np.array_equal, from_block(block, form), rows))
    joined = pa.concat_tables([block.slice(4, 2), block.slice(1, 3)])
    chosen = [rows[place] for place in (4, 5, 1, 2, 3)]
    found = from_block(joined, form)
    assert len(found) == 5
    assert all(map(np.array_equal, found, chosen))
