"""Read a column of texts."""

import numpy as np
import pyarrow as pa

from l2rw_ray.data.cache import cached
from l2rw_ray.data.tables.bad_rows import Array, BadRows
from l2rw_ray.data.tables.table import Table, is_text, plain_type
from l2rw_ray.data.text.texts import Texts
from l2rw_ray.errors import DataError

_FIELD = "trial.data.text"


def read_texts(table: Table, column: str, bad: BadRows) -> Texts:
    """Return the texts of a column, from the cache where they are there; a null one is empty, and bad.

    Args:
        table: The table.
        column: The column's name.
        bad: Records rows without a text.

    Raises:
        DataError: The column is missing or holds no text, or a row cannot be used and may not be skipped.
    """
    check_texts(table, column)

    def error_at(row: int) -> DataError:
        remedy = "fill it in, drop the row, or set trial.data.bad_rows to skip"
        return unreadable_error(column, table.locate(row), remedy)

    packed = cached({"files": table.identity, "text": column}, lambda: _packed(table, column))
    texts, is_missing_N = Texts.unpacked(packed.numpy(), table.rows)
    bad.mark(is_missing_N.astype(np.bool_), error_at)
    return texts


def check_texts(table: Table, column: str) -> None:
    """Check that a column is there, and holds texts; raises as `read_texts` does."""
    for given in table.require(column, _FIELD):
        if not is_text(plain_type(given)):
            raise DataError(_FIELD, column, f"the column is of type {given}", "name a column of texts")


def unreadable_error(column: str, place: str, remedy: str) -> DataError:
    """Return the error about a row without a text.

    Args:
        column: The column's name.
        place: Where it is.
        remedy: What to do.
    """
    return DataError(_FIELD, column, f"no readable text in {place}", remedy)


def _packed(table: Table, column: str) -> Array:
    """Read a column into one array that the cache can hold: the texts, and which of them are missing."""
    found = [text for _, batch in table.batches([column]) for text in utf8_values(batch.column(0))]
    is_missing_N = np.array([text is None for text in found], dtype=np.uint8)
    return Texts.of(text or b"" for text in found).packed(is_missing_N)


def utf8_values(values: pa.Array) -> list[bytes | None]:
    """Return texts as UTF-8; None where there is none, or bytes that are no UTF-8."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    encoded = values.cast(pa.large_string()).cast(pa.large_binary()).to_pylist()
    return [text if text is not None and _is_utf8(text) else None for text in encoded]


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
