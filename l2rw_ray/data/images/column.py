"""Decoding a column of encoded images."""

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from l2rw_ray.config.data.source_options import ImageMode, ImageSize
from l2rw_ray.data.images.decoding import Encoded, ImageDecoder, decode_all, decode_rows
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.data.tables.table import Table
from l2rw_ray.errors import DataError

_FIELD = "trial.data.image"
_RESIZED = "set trial.data.image_size, such as [32, 32]"


def column_decoder(
    table: Table, column: str, size: ImageSize | None = None, mode: ImageMode | None = None
) -> ImageDecoder:
    """Return the decoder of a column, which also reports errors about its rows."""
    return image_decoder(column, table.locate, size=size, mode=mode)


def image_decoder(
    column: str,
    locate: Callable[[int], str],
    shape: tuple[int, ...] | None = None,
    size: ImageSize | None = None,
    mode: ImageMode | None = None,
) -> ImageDecoder:
    """Return the decoder of a column of images without a table.

    Args:
        column: The column's name.
        locate: Describes where an image is, by its row.
        shape: Shape of all images; None to take the first one's.
        size: Height and width that they are resized to; None leaves them.
        mode: Whether they are read as grey or in colour; None for grey if all are.
    """
    return ImageDecoder(_FIELD, column, locate, _RESIZED, size, shape, mode)


def first_shape(
    table: Table, column: str, size: ImageSize | None = None, mode: ImageMode | None = None
) -> tuple[int, ...]:
    """Return the shape of the first image once it is resized, (C, H, W), which all others must have.

    Raises:
        DataError: The column is missing or holds no bytes, or the image is broken.
    """
    _require_bytes(table, column)
    _, values = next(_encoded(table, column))
    decoded = decode_rows(column_decoder(table, column, size, mode), [0], values[:1])
    return tuple(decoded.shape[1:])


def decode_column(
    table: Table,
    column: str,
    size: ImageSize | None = None,
    mode: ImageMode | None = None,
    *,
    skip: bool,
) -> tuple[Array, Array]:
    """Decode a column of encoded images (PNG, JPEG, …), a few rows in memory at a time.

    Args:
        table: The table.
        column: Column of bytes, or of structs with a field `bytes`, as Hugging Face writes them.
        size: Height and width that images are resized to; None leaves them.
        mode: Whether they are read as grey or in colour; None for grey if all are.
        skip: Whether images that are missing or broken are left as zeros.

    Returns:
        The images, uint8 [N, C, H, W], and which of them could not be read, bool [N]; C is 1 where they
        are read as grey, else 3.

    Raises:
        DataError: The column is missing or holds no bytes; an image is broken, has more than eight
            bits per channel, or is of another size than the first.
    """
    _require_bytes(table, column)
    decoder = column_decoder(table, column, size, mode)
    return decode_all(decoder, table.rows, lambda: _encoded(table, column), skip=skip)


def encoded_values(values: pa.Array) -> list[Encoded]:
    """Return values of a column as bytes."""
    if pa.types.is_struct(values.type):
        return [None if value is None else value["bytes"] for value in values.to_pylist()]
    encoded: list[Encoded] = values.to_pylist()
    return encoded


def _encoded(table: Table, column: str) -> Iterator[tuple[int, Sequence[Encoded]]]:
    for start, batch in table.batches([column]):
        yield start, encoded_values(batch.column(0))


def _require_bytes(table: Table, column: str) -> None:
    for given in table.require(column, _FIELD):
        if not _holds_bytes(given):
            problem = f"the column is of type {given}"
            raise DataError(_FIELD, column, problem, "name a column of encoded images")


def _holds_bytes(given: pa.DataType) -> bool:
    if pa.types.is_struct(given):
        place = given.get_field_index("bytes")
        return place >= 0 and _holds_bytes(given.field(place).type)
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(kind(given) for kind in kinds)
