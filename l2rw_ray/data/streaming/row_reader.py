"""How rows of files become inputs: all of streaming that differs by kind of input.

Shape suffixes: B rows of a batch, K rows that are held.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.data.tables.bad_rows import Array

if TYPE_CHECKING:
    import pyarrow as pa


Rows = Sequence[Array] | Array
"""Rows that were read: one array of all of them, [B, …], or a list of an array each."""


@dataclass(frozen=True)
class RowFormat:
    """What one row is once it is read: an array.

    Attributes:
        dtype: Type of its values.
        shape: Its shape; None for one dimension of any length.
        longest: Most values of a row of any length, which plans memory; 0 where nothing limits it.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...] | None
    longest: int = 0

    @property
    def row_bytes(self) -> int:
        """Bytes of a row, at most."""
        return self.dtype.itemsize * (self.longest if self.shape is None else math.prod(self.shape))


class RowReader(ABC):
    """Reads inputs from some columns of a table; small, so that it can be sent to another process."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""

    @property
    @abstractmethod
    def format(self) -> RowFormat:
        """What one row is once it is read."""

    @property
    @abstractmethod
    def identity(self) -> dict[str, object]:
        """All but the files on which what is read depends, JSON-serialisable."""

    @abstractmethod
    def read(self, batch: "pa.RecordBatch", rows: Sequence[int], path: str) -> Rows:
        """Return rows as arrays of `format`.

        Args:
            batch: Its columns hold the rows.
            rows: Number of each in its file, for errors.
            path: The file.

        Raises:
            DataError: One of them cannot be used.
        """

    @abstractmethod
    def inputs(self, rows: Tensor, count: int) -> Any:
        """Return inputs as a set holds them: a tensor, a tree of tensors, or a store of rows.

        Args:
            rows: What `read` returned, as one tensor [K, …]; or what `packed` made of rows of any length.
            count: K.
        """

    @property
    def empty(self) -> Any:
        """Inputs without a row, of the kind that a source has."""
        form = self.format
        rows = packed(()) if form.shape is None else np.empty((0, *form.shape), form.dtype)
        return self.inputs(torch.from_numpy(rows), 0)

    def batch(self, rows: Sequence[Array]) -> Any:
        """Return inputs of one batch, as those of a set that holds them are, [B, …]."""
        return self.inputs(torch.from_numpy(np.stack(rows)), len(rows))


def packed(rows: Sequence[Array]) -> Array:
    """Return rows of any length as one array of bytes: the size of each, int64, and then their values."""
    sizes_K = np.array([row.nbytes for row in rows], dtype=np.int64)
    return np.concatenate([part.view(np.uint8) for part in (sizes_K, *rows)])


def unpacked(rows: Tensor, count: int) -> tuple[Array, Array]:
    """Return the size of each of the rows that `packed` joined, in bytes, int64 [K], and their values, uint8.

    Args:
        rows: What it returned.
        count: K.
    """
    everything = rows.numpy()
    return everything[: 8 * count].view(np.int64), everything[8 * count :]
