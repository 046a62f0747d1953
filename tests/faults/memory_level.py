"""Resident memory of processes over a long run: where it began, where it is, whether it grows."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from time import monotonic

import psutil

_WARM_UP_S = 60.0
"""After its start a process loads what it needs; what it takes then is not growth."""
_FEWEST = 9


@dataclass(frozen=True)
class Level:
    """One process's memory, in bytes: medians of the first, middle and last third of its life.

    Attributes:
        name: What it is.
        start_bytes: At the start, the warm-up left out.
        middle_bytes: In the middle.
        end_bytes: At the end.
        life_s: How long it was looked at.
    """

    name: str
    start_bytes: int
    middle_bytes: int
    end_bytes: int
    life_s: float

    @property
    def growth_bytes(self) -> int:
        return self.end_bytes - self.start_bytes


@dataclass
class MemoryLog:
    """Takes samples; processes of one name may follow each other."""

    _samples: dict[tuple[str, int], list[tuple[float, int]]] = field(default_factory=dict)

    def sample(self, processes: Mapping[str, psutil.Process]) -> None:
        """Look once at each."""
        for name, process in processes.items():
            with suppress(psutil.NoSuchProcess):
                at = (monotonic(), process.memory_info().rss)
                self._samples.setdefault((name, process.pid), []).append(at)

    def levels(self) -> list[Level]:
        """Of all that lived long enough to tell."""
        return [level for (name, _), seen in self._samples.items() if (level := _level(name, seen))]


def _level(name: str, seen: list[tuple[float, int]]) -> Level | None:
    first = seen[0][0]
    warm = [rss for at, rss in seen if at - first >= _WARM_UP_S]
    if len(warm) < _FEWEST:
        return None
    third = len(warm) // 3
    parts = (warm[:third], warm[third:-third], warm[-third:])
    start, middle, end = (round(median(part)) for part in parts)
    return Level(name, start, middle, end, seen[-1][0] - first)
