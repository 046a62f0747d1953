"""The texts of a column, in memory.

Shape suffixes: N texts, K some of them.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.data.row_store import RowStore
from l2rw_ray.data.tables.bad_rows import Array


class Texts(RowStore):
    """Texts as UTF-8, one after another; the arrays may be memory-mapped, so that processes share them.

    Args:
        content: Their bytes, uint8.
        ends_N: Where each ends, int64 [N].
    """

    def __init__(self, content: Array, ends_N: Array) -> None:
        self._content, self._ends_N = content, ends_N

    @classmethod
    def of(cls, texts: Iterable[str | bytes]) -> Self:
        """Return a store of texts, as strings or as UTF-8."""
        encoded = [text if isinstance(text, bytes) else text.encode() for text in texts]
        ends_N = np.cumsum([len(text) for text in encoded], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), ends_N)

    def __len__(self) -> int:
        return len(self._ends_N)

    def __getitem__(self, row: int) -> str:
        return self._bytes(row).decode()

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))

    @property
    def shape(self) -> tuple[()]:
        """None: a text is no tensor yet."""
        return ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all texts, in order."""
        found = hashlib.sha256(np.ascontiguousarray(self._ends_N).data)
        found.update(np.ascontiguousarray(self._content).data)
        return found.hexdigest()

    def take(self, rows_K: Tensor) -> list[str]:
        """Return some texts."""
        return list(self.iterate(rows_K))

    def iterate(self, rows_K: Tensor) -> Iterator[str]:
        """Iterate over some texts.

        Args:
            rows_K: Their numbers, int64 [K].
        """
        return (self[row] for row in rows_K.tolist())

    def kept(self, kept_N: Array) -> Self:
        """Return a store of the texts that a mask chooses, bool [N]; this one where it chooses all."""
        return self if kept_N.all() else self.select(torch.from_numpy(np.flatnonzero(kept_N)))

    def packed(self, marks_N: Array) -> Array:
        """Return all texts, and a mark of each, as one array of bytes, uint8.

        Args:
            marks_N: One byte per text, uint8 [N].
        """
        return np.concatenate([self._ends_N.view(np.uint8), marks_N, self._content])

    @classmethod
    def unpacked(cls, packed: Array, count: int) -> tuple[Self, Array]:
        """Return the texts and marks that `packed` returned, as views of it.

        Args:
            packed: The array.
            count: N.
        """
        ends_N, rest = packed[: 8 * count].view(np.int64), packed[8 * count :]
        return cls(rest[count:], ends_N), rest[:count]

    def select(self, rows_K: Tensor) -> Self:
        """Return a store of only some texts."""
        return self.of(self._bytes(row) for row in rows_K.tolist())

    def _bytes(self, row: int) -> bytes:
        start = int(self._ends_N[row - 1]) if row else 0
        return self._content[start : int(self._ends_N[row])].tobytes()
