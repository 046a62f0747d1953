"""Rows of numbers and categories, as a table has them.

Shape suffixes: N rows, K some of them, F numeric columns.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.data.row_store import RowStore

MISSING = -1
"""Code of a cell without a value."""


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories.

    Attributes:
        name: Its name.
        values: The different values of the table, as text.
        codes_N: Place of each row's value among them, or `MISSING`, int64 [N].
    """

    name: str
    values: tuple[str, ...]
    codes_N: Tensor

    @classmethod
    def of(cls, name: str, cells: Iterable[str | None]) -> Self:
        """Return a column of cells; None where one is missing."""
        places: dict[str, int] = {}
        codes = [MISSING if cell is None else places.setdefault(cell, len(places)) for cell in cells]
        return cls(name, tuple(places), torch.tensor(codes, dtype=torch.int64))


@dataclass(frozen=True)
class MixedRows(RowStore):
    """Columns of categories, beside numeric ones or alone.

    Attributes:
        columns: The columns of categories.
        numbers_NF: The numeric ones, floats; None without any.
    """

    columns: tuple[CategoryColumn, ...]
    numbers_NF: Tensor | None

    def __len__(self) -> int:
        return len(self.columns[0].codes_N)

    @property
    def shape(self) -> tuple[()]:
        """None: a category is no number yet."""
        return ()

    def take(self, rows_K: Tensor) -> Self:
        """Return some rows; see `select`."""
        return self.select(rows_K)

    def select(self, rows_K: Tensor) -> Self:
        """Return only some rows."""
        columns = tuple(replace(column, codes_N=column.codes_N[rows_K]) for column in self.columns)
        numbers = None if self.numbers_NF is None else self.numbers_NF[rows_K]
        return replace(self, columns=columns, numbers_NF=numbers)

    def kept(self, kept_N: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Self:
        """Return only the rows that a mask chooses, bool [N]; all of them where it chooses all."""
        return self if kept_N.all() else self.select(torch.from_numpy(np.flatnonzero(kept_N)))
