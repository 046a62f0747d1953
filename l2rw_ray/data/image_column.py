"""Decoding a column of encoded images."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from l2rw_ray.data.bad_rows import Array
from l2rw_ray.data.image_decoding import Encoded, ImageDecoder, decode_all
from l2rw_ray.data.table import Table
from l2rw_ray.errors import DataError

_FIELD = "trial.data.image"


def column_decoder(table: Table, column: str) -> ImageDecoder:
    """What decodes a column, and complains about its rows."""
    return ImageDecoder(_FIELD, column, table.locate, "resize all images to one size")


def decode_column(table: Table, column: str, *, skip: bool) -> tuple[Array, Array]:
    """Decode a column of encoded images (PNG, JPEG, …), a few rows in memory at a time.

    Args:
        table: The table.
        column: Column of bytes, or of structs with a field `bytes`, as Hugging Face writes them.
        skip: Whether images that are missing or broken are left as zeros.

    Returns:
        The images, uint8 [N, C, H, W], and which of them could not be read, bool [N]; C is 1 where the
        first image is grey, else 3, and the others are converted to that.

    Raises:
        DataError: The column is missing or holds no bytes; an image is broken, has more than eight
            bits per channel, or is of another size than the first.
    """
    for given in table.require(column, _FIELD):
        if not _holds_bytes(given):
            problem = f"the column is of type {given}"
            raise DataError(_FIELD, column, problem, "name a column of encoded images")
    return decode_all(column_decoder(table, column), table.rows, _encoded(table, column), skip=skip)


def _encoded(table: Table, column: str) -> Iterator[tuple[int, Sequence[Encoded]]]:
    for start, batch in table.batches([column]):
        values = batch.column(0)
        if pa.types.is_struct(values.type):
            yield start, [None if value is None else value["bytes"] for value in values.to_pylist()]
        else:
            yield start, values.to_pylist()


def _holds_bytes(given: pa.DataType) -> bool:
    if pa.types.is_struct(given):
        place = given.get_field_index("bytes")
        return place >= 0 and _holds_bytes(given.field(place).type)
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(kind(given) for kind in kinds)
