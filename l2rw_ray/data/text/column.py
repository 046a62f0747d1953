"""Read a column of texts."""

import numpy as np
import pyarrow as pa

from l2rw_ray.data.tables.bad_rows import BadRows
from l2rw_ray.data.tables.table import Table, is_text, plain_type
from l2rw_ray.data.text.texts import Texts
from l2rw_ray.errors import DataError

_FIELD = "trial.data.text"


def read_texts(table: Table, column: str, bad: BadRows) -> Texts:
    """Return the texts of a column; a null one is empty, and marked as bad.

    Args:
        table: The table.
        column: The column's name.
        bad: Records rows without a text.

    Raises:
        DataError: The column is missing or holds no text, or a row cannot be used and may not be skipped.
    """
    for given in table.require(column, _FIELD):
        if not is_text(plain_type(given)):
            raise DataError(_FIELD, column, f"the column is of type {given}", "name a column of texts")

    def error_at(row: int) -> DataError:
        remedy = "fill it in, drop the row, or set trial.data.bad_rows to skip"
        return DataError(_FIELD, column, f"no readable text in {table.locate(row)}", remedy)

    texts: list[bytes] = []
    for start, batch in table.batches([column]):
        found = _encoded(batch.column(0))
        bad.mark(np.array([text is None for text in found]), error_at, start)
        texts += [text or b"" for text in found]
    return Texts.of(texts)


def _encoded(values: pa.Array) -> list[bytes | None]:
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
