"""Read columns of categories."""

import pyarrow as pa
import torch
from torch import Tensor

from l2rw_ray.data.categories.mixed_rows import CategoryColumn
from l2rw_ray.data.tables.table import Table, is_text, plain_type
from l2rw_ray.errors import DataError

_FIELD = "trial.data.categorical"


def read_categories(table: Table, names: tuple[str, ...]) -> tuple[CategoryColumn, ...]:
    """Return columns of categories; null cells are missing values, which have a place of their own.

    Args:
        table: The table.
        names: The columns' names.

    Raises:
        DataError: One is missing, or holds neither text, integers, booleans nor dates.
    """
    check_categories(table, names)
    cells: dict[str, list[str | None]] = {name: [] for name in names}
    for _, batch in table.batches(names):
        for name in names:
            cells[name] += category_texts(batch.column(name))
    return tuple(CategoryColumn.of(name, own) for name, own in cells.items())


def check_categories(table: Table, names: tuple[str, ...]) -> None:
    """Check that columns are there, and hold categories; raises as `read_categories` does."""
    for name in names:
        for given in map(plain_type, table.require(name, _FIELD)):
            if not _is_category(given):
                remedy = "use text, integers, booleans or dates, or name numbers under features"
                raise DataError(_FIELD, name, f"the column is of type {given}", remedy)


def known_values(table: Table, names: tuple[str, ...], rows_K: Tensor) -> dict[str, tuple[str, ...]]:
    """Return the different values of some rows, sorted, by column, without holding the columns.

    Args:
        table: The table.
        names: The columns' names.
        rows_K: The rows, ascending, int64.
    """
    known: dict[str, set[str | None]] = {name: set() for name in names}
    for start, batch in table.batches(names):
        begin, end = torch.searchsorted(rows_K, torch.tensor([start, start + len(batch)])).tolist()
        chosen = batch.take(pa.array((rows_K[begin:end] - start).numpy()))
        for name, values in known.items():
            values.update(category_texts(chosen.column(name)))
    return {
        name: tuple(sorted(value for value in values if value is not None)) for name, values in known.items()
    }


def category_texts(values: pa.Array) -> list[str | None]:
    """Return cells as text; None where one is missing."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    found: list[str | None] = values.cast(pa.large_string()).to_pylist()
    return found


def _is_category(given: pa.DataType) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_date, pa.types.is_null)
    return is_text(given) or any(kind(given) for kind in kinds)
