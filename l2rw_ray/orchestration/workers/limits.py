"""Training under a study's limits: what goes over one is told to the broker, and its process ends."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from typing import Any

import psutil
import ray

from l2rw_ray.config import Limits
from l2rw_ray.orchestration.broker.trial_queue import Lease
from l2rw_ray.orchestration.watchdog import (
    HANG_GRACE_S,
    TrialPosition,
    Watchdog,
    kill_if_hung,
    thread_stacks,
    watch,
)
from l2rw_ray.orchestration.workers.trial_log import TrialLog

_TELL_WITHIN_S = HANG_GRACE_S / 3
_KILLED_WITHIN_S = HANG_GRACE_S / 3
"""How long Ray may take to end the process; of one that ends itself it complains to the user."""
_STANDARD_ERROR = 2


def own_memory_bytes() -> int:
    """Resident memory of this process, without mapped files and what else it shares."""
    memory = psutil.Process().memory_info()
    used: int = memory.rss - getattr(memory, "shared", 0)
    return used


@contextmanager
def enforce_limits(
    lease: Lease,
    limits: Limits,
    broker: Any,
    flush: Callable[[], object],
    log: TrialLog | None,
    *,
    rank: int,
    stacks: Path,
) -> Iterator[TrialPosition]:
    """End this process, and the trial as failed, should the block take more than the limits allow.

    Every rank looks after itself; the first that is over a limit ends the trial, and with its process the
    group, so that no rank is left inside.

    Args:
        lease: The trial.
        limits: What it may take.
        broker: Handle of the broker actor.
        flush: Tells the broker what the trial has emitted.
        log: Its log, which is kept within its bound meanwhile.
        rank: This process among the trial's workers.
        stacks: File for the stacks, should no thread be able to send them.

    Yields:
        What takes note of the trial's events, so that the error can say where the trial was.
    """
    place = TrialPosition() if rank == 0 else TrialPosition("under way")
    training = threading.get_ident()

    def end(error: str) -> None:
        found = thread_stacks(first=training)
        with suppress(OSError):  # past `sys.stderr`, whose lock the training thread may hold for ever
            os.write(_STANDARD_ERROR, f"{error}\n{found}".encode())
        try:
            flush()
            told = broker.fail.remote(lease.trial.trial_id, lease.attempt, rank, error, found, wait_s=0.0)
            ray.get(told, timeout=_TELL_WITHIN_S)
            ray.kill(ray.get_runtime_context().current_actor)
            sleep(_KILLED_WITHIN_S)
        finally:  # whatever went wrong: without its broker the run ends, and says so
            os._exit(1)

    watchdog = Watchdog(limits, place, own_memory_bytes)
    on_look = log.keep_bound if log else _nothing
    with kill_if_hung(limits.duration_s, stacks), watch(watchdog, end, on_look):
        yield place


def _nothing() -> None:
    """What there is to do where there is no log."""
