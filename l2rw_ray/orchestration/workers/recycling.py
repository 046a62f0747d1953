"""Decide when to replace a worker group's workers: after many trials, or when their memory has grown."""

from collections.abc import Callable

from l2rw_ray.config import Limits
from l2rw_ray.measurement import give_back_freed_memory
from l2rw_ray.orchestration.workers.limits import own_memory_bytes
from l2rw_ray.training import Ranks

_MAX_GROWTH_BYTES = 2 * 2**30
"""Maximum growth of a worker's memory after its first trial."""
_GROWTH_DIVISOR = 10
"""Under a memory limit, maximum growth is the limit divided by this: later trials pay for leaked memory."""


class RecyclePolicy:
    """Counts a worker's trials and watches its memory.

    Args:
        max_trials: Maximum number of trials of a worker.
        limits: Limits of a trial.
        clear_cache: Frees data that are kept from one trial to the next.
    """

    def __init__(self, max_trials: int, limits: Limits, clear_cache: Callable[[], object]) -> None:
        self._max_trials, self._clear_cache = max_trials, clear_cache
        self._limit = limits.memory_bytes
        self._trained, self._first_bytes = 0, 0

    def should_recycle(self, ranks: Ranks) -> bool:
        """Count a finished trial. Returns whether to recycle the worker group; all ranks get the same answer.

        Under a memory limit, the cache is cleared, so that it does not count as the next trial's memory.
        """
        max_growth = _MAX_GROWTH_BYTES
        if self._limit is not None:
            self._clear_cache()
            give_back_freed_memory()
            max_growth = min(max_growth, self._limit // _GROWTH_DIVISOR)
        self._trained += 1
        used_bytes = own_memory_bytes()
        self._first_bytes = self._first_bytes or used_bytes  # libraries are loaded by now
        growth = ranks.maximum(used_bytes - self._first_bytes)
        return self._trained >= self._max_trials or growth > max_growth
