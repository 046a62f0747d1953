"""Read categories, and numbers beside them, of a table that stays in its files.

Shape suffixes: B rows, K columns of categories, F numeric columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.data.categories.encoder import CATEGORIES, FEATURES, CategoryEncoder
from l2rw_ray.data.categories.mixed_rows import CategoryColumn, MixedRows
from l2rw_ray.data.streaming.row_reader import RowFormat, RowReader
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.data.tables.feature_reader import FeatureReader

if TYPE_CHECKING:
    import pyarrow as pa

    from l2rw_ray.data.tables.table import Table

_INDEX = np.dtype(np.int64)


@dataclass(frozen=True)
class MixedReader(RowReader):
    """Reads columns of categories, beside numeric ones or alone, as an encoder has them.

    Attributes:
        names: Names of the columns of categories.
        numbers: Reads the numeric ones; None without any.
        encoder: The values that have an index; None before the train pool is known, when nothing is read.
    """

    names: tuple[str, ...]
    numbers: FeatureReader | None
    encoder: CategoryEncoder | None = None

    def learnt(self, table: "Table", pool_K: Tensor) -> Self:
        """Return a reader that knows the values of the train pool, found in one pass.

        Args:
            table: The table.
            pool_K: Rows of the train pool, ascending, int64.
        """
        from l2rw_ray.data.categories.column import known_values

        features = () if self.numbers is None else self.numbers.names
        return replace(self, encoder=CategoryEncoder(known_values(table, self.names, pool_K), features))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, those of categories first."""
        return self.names + (() if self.numbers is None else self.numbers.names)

    @property
    def format(self) -> RowFormat:
        """The bytes of the features, and then those of the indices."""
        numbers = 0 if self.numbers is None else self.numbers.format.row_bytes
        return RowFormat(np.dtype(np.uint8), (numbers + len(self.names) * _INDEX.itemsize,))

    @property
    def identity(self) -> dict[str, object]:
        """The columns, and the values that have an index."""
        assert self.encoder is not None
        numbers = {} if self.numbers is None else self.numbers.identity
        return {**numbers, "categories": self.encoder.state()}

    def read(self, batch: "pa.RecordBatch", rows: Sequence[int], path: str) -> Array:
        """Return rows as bytes, uint8 [B, …]; see `RowReader.read`."""
        from l2rw_ray.data.categories.column import category_texts

        assert self.encoder is not None
        columns = tuple(CategoryColumn.of(name, category_texts(batch.column(name))) for name in self.names)
        numbers = None if self.numbers is None else torch.from_numpy(self.numbers.read(batch, rows, path))
        encoded = self.encoder.encoded(MixedRows(columns, numbers))
        return np.concatenate([part.numpy().view(np.uint8) for part in encoded.values()], axis=1)

    def inputs(self, rows: Tensor, count: int) -> dict[str, Tensor]:
        """Return `categories`, int64 [B, K], and, where there are numeric columns, `features`, [B, F]."""
        found, begin = dict[str, Tensor](), 0
        if self.numbers is not None:
            begin = self.numbers.format.row_bytes
            features_BF = np.ascontiguousarray(rows[:, :begin].numpy()).view(self.numbers.format.dtype)
            found[FEATURES] = torch.from_numpy(features_BF)
        indices_BK = np.ascontiguousarray(rows[:, begin:].numpy()).view(_INDEX)
        return {**found, CATEGORIES: torch.from_numpy(indices_BK)}

    @property
    def empty(self) -> MixedRows:
        """Columns without a row; no value has an index yet."""
        columns = tuple(CategoryColumn.of(name, ()) for name in self.names)
        return MixedRows(columns, None if self.numbers is None else self.numbers.empty)
