"""Identities of the rows of a source: the text that tells a reader which row an example is.

Shape suffixes: N rows, K rows kept.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import PurePosixPath
from typing import overload

import numpy as np
from torch import Tensor

from l2rw_ray.data.tables.bad_rows import Array

RowIds = Sequence[str]
"""Identity of each row of a source, by row number."""


class _Computed(Sequence[str]):
    """A sequence of texts that are made when they are asked for, so that many rows cost little memory."""

    def _text(self, row: int) -> str:
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._text(row) for row in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._text(index % len(self))


@dataclass(frozen=True)
class FileRows(_Computed):
    """Rows named by their file and their number in it, from 0, as in `train.csv:17`.

    Attributes:
        names: Name of each file.
        sizes: Rows of each file.
        kept: Which of the rows, counted over all files, are those of the source, int64 [K]; None for all.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    kept: Array | None = None

    def __len__(self) -> int:
        return self._ends[-1] if self.kept is None else len(self.kept)

    def _text(self, row: int) -> str:
        row = row if self.kept is None else int(self.kept[row])
        file = bisect_right(self._ends, row)
        return f"{self.names[file]}:{row - self._ends[file] + self.sizes[file]}"

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(self.sizes))


@dataclass(frozen=True)
class ColumnIds(_Computed):
    """Rows named by a column of a table.

    Attributes:
        values: Integers or text, [N].
    """

    values: Array

    def __len__(self) -> int:
        return len(self.values)

    def _text(self, row: int) -> str:
        return str(self.values[row])


def kept_ids(ids: RowIds, kept_N: Array) -> RowIds:
    """Return the identities of some rows.

    Args:
        ids: Of all rows.
        kept_N: Which rows, bool [N].
    """
    if kept_N.all():
        return ids
    rows_K = np.flatnonzero(kept_N)
    if isinstance(ids, FileRows):
        return FileRows(ids.names, ids.sizes, rows_K if ids.kept is None else ids.kept[rows_K])
    if isinstance(ids, ColumnIds):
        return ColumnIds(ids.values[rows_K])
    return [ids[row] for row in rows_K.tolist()]


def identities(ids: RowIds | None, rows_K: Tensor) -> list[str]:
    """Return the identities of some rows; their numbers where they have none.

    Args:
        ids: Of all rows of the source.
        rows_K: The rows, int64.
    """
    rows = rows_K.tolist()
    return [str(row) if ids is None else ids[row] for row in rows]


def distinct_names(paths: Sequence[str]) -> tuple[str, ...]:
    """Return paths without the folders that all of them share; of one path the file's name."""
    parts = [PurePosixPath(path).parts for path in paths]
    folders = [path[:-1] for path in parts]
    shared = 0
    while folders and all(len(path) > shared and path[shared] == folders[0][shared] for path in folders):
        shared += 1
    return tuple(str(PurePosixPath(*path[shared:])) for path in parts)
