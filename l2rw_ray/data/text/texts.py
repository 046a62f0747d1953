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
    """Texts as UTF-8, one after another, which takes a third of the memory of Python's strings.

    Args:
        content: Their bytes.
        ends_N: Where each ends, int64 [N].
    """

    def __init__(self, content: bytes, ends_N: Array) -> None:
        self._content, self._ends_N = content, ends_N

    @classmethod
    def of(cls, texts: Iterable[str | bytes]) -> Self:
        """Return a store of texts, as strings or as UTF-8."""
        encoded = [text if isinstance(text, bytes) else text.encode() for text in texts]
        return cls(b"".join(encoded), np.cumsum([len(text) for text in encoded], dtype=np.int64))

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
        return hashlib.sha256(self._ends_N.tobytes() + self._content).hexdigest()

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

    def select(self, rows_K: Tensor) -> Self:
        """Return a store of only some texts."""
        return self.of(self._bytes(row) for row in rows_K.tolist())

    def _bytes(self, row: int) -> bytes:
        start = int(self._ends_N[row - 1]) if row else 0
        return self._content[start : int(self._ends_N[row])]
