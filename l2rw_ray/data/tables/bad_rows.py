"""What becomes of rows that cannot be used: the first ends loading, or all are left out and counted."""

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
        first: What is wrong with the first, with its file and row.
    """

    count: int
    first: str


class BadRows:
    """Takes note of rows that cannot be used, or refuses the first.

    Args:
        total: Rows of the table.
        skip: Whether they are left out.
    """

    def __init__(self, total: int, *, skip: bool) -> None:
        self.skip = skip
        self._bad_N = np.zeros(total, dtype=np.bool_)
        self._reasons: dict[str, SkippedRows] = {}

    def mark(self, bad: Array, error: Callable[[int], DataError], start: int = 0) -> None:
        """Mark some of the rows that follow each other.

        Args:
            bad: Which of them cannot be used, bool [B].
            error: Makes the complaint about a row.
            start: The first one's row.

        Raises:
            DataError: One is bad, and none may be skipped.
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

    @property
    def kept(self) -> Array:
        """Which rows can be used, bool [N]."""
        return ~self._bad_N

    @property
    def skipped(self) -> tuple[SkippedRows, ...]:
        """What was left out, by reason."""
        return tuple(self._reasons.values())
