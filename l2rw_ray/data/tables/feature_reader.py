"""Read numeric columns of a table that stays in its files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.data.cache import cached
from l2rw_ray.data.streaming.row_reader import RowFormat, RowReader
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.data.tables.precision import needs_float64

if TYPE_CHECKING:
    import pyarrow as pa

    from l2rw_ray.data.tables.table import Table


@dataclass(frozen=True)
class FeatureReader(RowReader):
    """Reads numeric columns side by side; that their values can be used was found before.

    Attributes:
        names: Names of the columns, F of them.
        wide: Whether features are float64 rather than float32.
        may_lack: Whether values may be missing, and read NaN.
    """

    names: tuple[str, ...]
    wide: bool
    may_lack: bool

    @classmethod
    def checked(cls, table: "Table", names: tuple[str, ...], *, may_lack: bool) -> "FeatureReader":
        """Return the reader of some columns of a table, one of which is held at a time to check it.

        Args:
            table: The table.
            names: Names of the columns.
            may_lack: Whether values may be missing.

        Raises:
            DataError: A column is missing or not numeric, or a value is no finite number.
        """
        identity = {"files": table.identity, "wide": names, "may_lack": may_lack}

        def find() -> Array:
            columns = (table.features((name,), may_lack=may_lack)[:, 0] for name in names)
            wide = [needs_float64(column) for column in columns]  # all of them, which checks their values
            return np.array([any(wide)])

        return cls(names, bool(cached(identity, find)), may_lack)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns."""
        return self.names

    @property
    def format(self) -> RowFormat:
        """Floats [F]."""
        return RowFormat(np.dtype(np.float64 if self.wide else np.float32), (len(self.names),))

    @property
    def identity(self) -> dict[str, object]:
        """The columns, and what their values are."""
        return {"features": self.names, "wide": self.wide, "may_lack": self.may_lack}

    def read(self, batch: "pa.RecordBatch", rows: Sequence[int], path: str) -> Array:
        """Return features, floats [B, F]; see `RowReader.read`."""
        from l2rw_ray.data.tables.table import as_numbers

        numbers = [as_numbers(batch.column(name), np.nan) for name in self.names]
        return np.stack(numbers, axis=1).astype(self.format.dtype)

    def inputs(self, rows: Tensor, count: int) -> Tensor:
        """Return features, floats [K, F]."""
        return rows

    def column(self, table: "Table", place: int) -> Tensor:
        """Return one column of all rows, floats [N].

        Args:
            table: The table.
            place: Its place among the columns.
        """
        values = table.features((self.names[place],), may_lack=self.may_lack)[:, 0]
        return torch.from_numpy(values.astype(self.format.dtype))
