"""Categories to numbers, by what the train pool holds.

Shape suffixes: N rows, B batch, K columns of categories, F numeric columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from l2rw_ray.data.categories.mixed_rows import MISSING, CategoryColumn, MixedRows

FEATURES, CATEGORIES = "features", "categories"
"""Keys of a batch: numbers, float32 [B, F], and categories, int64 [B, K]."""
MISSING_INDEX, UNSEEN_INDEX, FIRST_INDEX = 0, 1, 2
"""A missing value, one that the train pool does not hold, and the first of those it holds."""


@dataclass(frozen=True)
class CategoryEncoder:
    """The values of each column, in the order of their indices, which begin at 2.

    Index 0 is for missing values, 1 for those that the train pool does not hold.

    Attributes:
        columns: Values by column, sorted.
        features: Names of the numeric columns beside them.
    """

    columns: Mapping[str, tuple[str, ...]]
    features: tuple[str, ...] = ()

    @classmethod
    def learnt(cls, rows: MixedRows, pool_K: Tensor, features: tuple[str, ...]) -> Self:
        """Return the encoder that knows the values of the train pool.

        Args:
            rows: Those of the train table.
            pool_K: Rows of the train pool, int64.
            features: Names of the numeric columns.
        """
        known = {}
        for column in rows.columns:
            present = column.codes_N[pool_K].unique().tolist()
            known[column.name] = tuple(sorted(column.values[code] for code in present if code != MISSING))
        return cls(known, features)

    @property
    def input_sizes(self) -> dict[str, tuple[int, ...]]:
        """Return `category_sizes`: how many indices each column has, those of missing and unseen included."""
        return {"category_sizes": tuple(len(values) + FIRST_INDEX for values in self.columns.values())}

    def encoded(self, rows: MixedRows) -> dict[str, Tensor]:
        """Return rows as a model takes them, but for the scale of the numbers.

        Returns:
            `categories`, int64 [N, K], and, where there are numeric columns, `features`, floats [N, F].
        """
        named = {column.name: column for column in rows.columns}
        indices = [self._indices(named[name], values) for name, values in self.columns.items()]
        numbers = {} if rows.numbers_NF is None else {FEATURES: rows.numbers_NF}
        return {**numbers, CATEGORIES: torch.stack(indices, dim=1)}

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Return new rows, each with a value by column; a missing one is None, a missing number NaN."""
        columns = tuple(
            CategoryColumn.of(name, [_text(row.get(name)) for row in rows]) for name in self.columns
        )
        numbers = None
        if self.features:
            cells = [[_number(row.get(name)) for name in self.features] for row in rows]
            numbers = torch.tensor(cells, dtype=torch.float64)
        return self.encoded(MixedRows(columns, numbers))

    def state(self) -> dict[str, Any]:
        """Return plain values from which `CategoryEncoder(**state)` is the same."""
        return {"columns": dict(self.columns), "features": self.features}

    @staticmethod
    def _indices(column: CategoryColumn, known: tuple[str, ...]) -> Tensor:
        """Return the index of each cell, int64 [N]."""
        place = {value: number for number, value in enumerate(known, start=FIRST_INDEX)}
        by_code = [*(place.get(value, UNSEEN_INDEX) for value in column.values), MISSING_INDEX]
        return torch.tensor(by_code)[column.codes_N]  # the code of a missing one, −1, is the last


def _text(cell: Any) -> str | None:
    """Return a value as a table's reader would: true and false in small letters."""
    if cell is None:
        return None
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


def _number(cell: Any) -> float:
    return float("nan") if cell is None else float(cell)
