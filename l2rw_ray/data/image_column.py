"""Decoding a Parquet column of encoded images."""

import io
import os
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from PIL import Image

from l2rw_ray.data.parquet_table import Array, ParquetTable
from l2rw_ray.errors import DataError

_THREADS = 8
_GREY = ("1", "L", "LA", "La")
_DEEP = ("I", "F")
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's decoders raise on broken files."""


def decode_images(table: ParquetTable, column: str) -> Array:
    """Decode a column of encoded images (PNG, JPEG, …), a few rows in memory at a time.

    Args:
        table: The table.
        column: Column of bytes, or of structs with a field `bytes`, as Hugging Face writes them.

    Returns:
        uint8 [N, C, H, W]; C is 1 where the first image is grey, else 3, and the others are
        converted to that.

    Raises:
        DataError: The column is missing or holds no bytes; an image is broken, has more than eight
            bits per channel, or is of another size than the first.
    """
    for given in table.require(column, "trial.data.image"):
        if not _holds_bytes(given):
            problem = f"the column is of type {given}"
            raise DataError("trial.data.image", column, problem, "name a column of encoded images")
    first = _Decoder(table, column).decode(0, _first(table, column))
    images = np.empty((sum(table.sizes), *first.shape), dtype=np.uint8)
    decoder = _Decoder(table, column, first.shape)

    def place(row: int, data: bytes | None) -> None:
        images[row] = decoder.decode(row, data)

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for start, batch in table.batches([column]):
            for _ in pool.map(place, range(start, start + len(batch)), _encoded(batch)):
                pass  # raises what a thread raised, the first row's error first
    return images


@dataclass(frozen=True)
class _Decoder:
    table: ParquetTable
    column: str
    shape: tuple[int, ...] | None = None

    def decode(self, row: int, data: bytes | None) -> Array:
        """One image, uint8 [C, H, W], of the shape of the first where that is known."""
        if data is None:
            raise self._refuse(row, "holds no image", "fill in the image or drop the row")
        try:
            with Image.open(io.BytesIO(data)) as encoded:
                pixels = np.asarray(encoded.convert(self._target(row, encoded.mode)))
        except _UNREADABLE as error:
            raise self._refuse(row, "is no readable image", "mend or drop the row") from error
        image: Array = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        if self.shape is not None and image.shape != self.shape:
            problem = f"has shape {image.shape}, the first image has {self.shape}"
            raise self._refuse(row, problem, "resize all images to one size")
        return image

    def _target(self, row: int, mode: str) -> str:
        if mode.startswith(_DEEP):
            raise self._refuse(row, f"has mode {mode}, more than 8 bits", "convert the images to 8 bits")
        grey = mode in _GREY if self.shape is None else self.shape[0] == 1
        return "L" if grey else "RGB"

    def _refuse(self, row: int, problem: str, remedy: str) -> DataError:
        return DataError("trial.data.image", self.column, f"{self.table.locate(row)} {problem}", remedy)


def _first(table: ParquetTable, column: str) -> bytes | None:
    return next(_encoded(batch)[0] for _, batch in table.batches([column]) if len(batch))


def _encoded(batch: pa.RecordBatch) -> Sequence[bytes | None]:
    values = batch.column(0)
    if pa.types.is_struct(values.type):
        return [None if value is None else value["bytes"] for value in values.to_pylist()]
    encoded: list[bytes | None] = values.to_pylist()
    return encoded


def _holds_bytes(given: pa.DataType) -> bool:
    if pa.types.is_struct(given):
        place = given.get_field_index("bytes")
        return place >= 0 and _holds_bytes(given.field(place).type)
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(kind(given) for kind in kinds)
