"""When a worker group's workers are replaced: after many trials, or when their memory has grown."""

from collections.abc import Callable

from l2rw_ray.config import Limits
from l2rw_ray.measurement import give_back_freed_memory
from l2rw_ray.orchestration.workers.limits import own_memory_bytes
from l2rw_ray.training import Ranks

_MAX_GROWTH_BYTES = 2 * 2**30
"""Memory that a worker may gain after its first trial."""
_OF_THE_LIMIT = 10
"""The part, 1 in this many, of a limit of memory that it may gain: what stays counts for later trials."""


class RecyclePolicy:
    """What one worker has been through.

    Args:
        max_trials: How many trials it may train.
        limits: What a trial may take.
        forget: Lets go of what is kept from one trial to the next.
    """

    def __init__(self, max_trials: int, limits: Limits, forget: Callable[[], object]) -> None:
        self._max_trials, self._forget = max_trials, forget
        self._limit = limits.memory_bytes
        self._trained, self._first_bytes = 0, 0

    def should_recycle(self, ranks: Ranks) -> bool:
        """Take note of a trial that has ended, on every rank; whether the group shall go, alike on all.

        Under a limit of memory nothing is kept for the next trial, so that its memory is its own.
        """
        max_growth = _MAX_GROWTH_BYTES
        if self._limit is not None:
            self._forget()
            give_back_freed_memory()
            max_growth = min(max_growth, self._limit // _OF_THE_LIMIT)
        self._trained += 1
        used_bytes = own_memory_bytes()
        self._first_bytes = self._first_bytes or used_bytes  # with all that is loaded once
        growth = ranks.maximum(used_bytes - self._first_bytes)
        return self._trained >= self._max_trials or growth > max_growth
