"""Unusable rows: raise an error at the first, or skip and count them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from l2rw_ray.errors import DataError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class SkippedRows:
    """Rows that were left out for one reason.

    Attributes:
        count: How many; a row with several faults counts once.
        first: Problem of the first, with its file and row.
    """

    count: int
    first: str


class BadRows:
    """Records rows that cannot be used, or raises an error at the first.

    Args:
        total: Rows of the table.
        skip: Whether to skip them.
    """

    def __init__(self, total: int, *, skip: bool) -> None:
        self.skip = skip
        self._bad_N = np.zeros(total, dtype=np.bool_)
        self._reasons: dict[str, SkippedRows] = {}

    def mark(self, bad: Array, error: Callable[[int], DataError], start: int = 0) -> None:
        """Mark bad rows among consecutive ones.

        Args:
            bad: Which of them cannot be used, bool [B].
            error: Makes the error about a row.
            start: The first one's row.

        Raises:
            DataError: One is bad, and rows may not be skipped.
        """
        before = self._bad_N[start : start + len(bad)]
        fresh = np.flatnonzero(bad & ~before)
        if not len(fresh):
            return
        complaint = error(start + int(fresh[0]))
        if not self.skip:
            raise complaint
        before |= bad
        reason = self._reasons.get(complaint.field)
        self._reasons[complaint.field] = SkippedRows(
            len(fresh) + (reason.count if reason else 0),
            reason.first if reason else f"{complaint.value}: {complaint.problem}",
        )

    def part(self, start: int, rows: int) -> "BadRows":
        """Return the record of consecutive rows, numbered from 0; what it marks is marked here.

        Args:
            start: The first one's row.
            rows: Number of rows.
        """
        return _PartOfBadRows(self, start, rows)

    @property
    def kept(self) -> Array:
        """The usable rows, bool [N]."""
        return ~self._bad_N

    @property
    def skipped(self) -> tuple[SkippedRows, ...]:
        """Skipped rows by reason."""
        return tuple(self._reasons.values())


class _PartOfBadRows(BadRows):
    """Records bad rows of one part of a table in the record of the whole."""

    def __init__(self, whole: BadRows, start: int, rows: int) -> None:
        super().__init__(rows, skip=whole.skip)
        self._whole, self._start = whole, start

    def mark(self, bad: Array, error: Callable[[int], DataError], start: int = 0) -> None:
        """Mark bad rows among consecutive ones, in the whole."""
        self._whole.mark(bad, lambda row: error(row - self._start), self._start + start)

    @property
    def kept(self) -> Array:
        """The usable rows of the part, bool [N]."""
        kept: Array = self._whole.kept[self._start : self._start + len(self._bad_N)]
        return kept
