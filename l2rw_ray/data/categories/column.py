"""Read columns of categories."""

import pyarrow as pa

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
    for name in names:
        for given in map(plain_type, table.require(name, _FIELD)):
            if not _is_category(given):
                remedy = "use text, integers, booleans or dates, or name numbers under features"
                raise DataError(_FIELD, name, f"the column is of type {given}", remedy)
    cells: dict[str, list[str | None]] = {name: [] for name in names}
    for _, batch in table.batches(names):
        for name in names:
            cells[name] += _texts(batch.column(name))
    return tuple(CategoryColumn.of(name, own) for name, own in cells.items())


def _texts(values: pa.Array) -> list[str | None]:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    found: list[str | None] = values.cast(pa.large_string()).to_pylist()
    return found


def _is_category(given: pa.DataType) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_date, pa.types.is_null)
    return is_text(given) or any(kind(given) for kind in kinds)
