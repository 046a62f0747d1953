"""Decoded images as Arrow tables, which processes pass to each other without a copy."""

from typing import TYPE_CHECKING

import numpy as np

from l2rw_ray.data.tables.bad_rows import Array

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMN = "pixels"


def as_block(images_B: Array) -> "pa.Table":
    """Pack images into a table of one column, each row the bytes of one image.

    Args:
        images_B: uint8 [B, C, H, W].
    """
    import pyarrow as pa

    images_B = np.ascontiguousarray(images_B)
    size = int(np.prod(images_B.shape[1:]))
    pixels = pa.Array.from_buffers(pa.binary(size), len(images_B), [None, pa.py_buffer(images_B)])
    return pa.table({_COLUMN: pixels})


def from_block(block: "pa.Table", shape: tuple[int, ...]) -> Array:
    """Return a copy of the images of one table, or of several concatenated, that `as_block` made.

    Args:
        block: The table.
        shape: Shape of one image, (C, H, W).

    Returns:
        uint8 [B, C, H, W].
    """
    images_B, done = np.empty((len(block), *shape), dtype=np.uint8), 0
    for chunk in block.column(_COLUMN).chunks:
        size = chunk.type.byte_width
        start, end = chunk.offset * size, (chunk.offset + len(chunk)) * size
        pixels = np.frombuffer(chunk.buffers()[1], dtype=np.uint8)[start:end]
        images_B[done : done + len(chunk)] = pixels.reshape(-1, *shape)
        done += len(chunk)
    return images_B
