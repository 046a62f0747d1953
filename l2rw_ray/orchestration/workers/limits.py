"""Enforce a study's limits: fail a trial that exceeds one and end its process."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep

import psutil
import ray

from l2rw_ray.config import Limits
from l2rw_ray.orchestration.broker.client import BrokerClient
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

_REPORT_TIMEOUT_S = HANG_GRACE_S / 3
_KILL_TIMEOUT_S = HANG_GRACE_S / 3
"""How long Ray may take to kill the process; it warns the user about one that exits by itself."""
_STANDARD_ERROR = 2


def own_memory_bytes() -> int:
    """Return the resident memory of this process, without mapped files and other shared memory."""
    memory = psutil.Process().memory_info()
    used: int = memory.rss - getattr(memory, "shared", 0)
    return used


def trial_memory_bytes() -> int:
    """Return the memory of this process and of all that it has started, such as scripts and data loaders.

    Of a page that several processes share, each of those it has started counts its part.
    """
    total = own_memory_bytes()
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended meanwhile
            memory = each.memory_full_info()
            total += getattr(memory, "pss", memory.uss)
    return total


@contextmanager
def enforce_limits(
    lease: Lease,
    limits: Limits,
    broker: BrokerClient,
    flush: Callable[[], object],
    log: TrialLog | None,
    *,
    rank: int,
    stacks: Path,
) -> Iterator[TrialPosition]:
    """Fail the trial and end this process if the block exceeds a limit.

    Every rank checks itself. The first one over a limit fails the trial and ends its process; the whole
    worker group is then restarted, so that no rank stays in the trial.

    Args:
        lease: The trial.
        limits: The study's limits.
        broker: Receives the failure.
        flush: Sends the trial's buffered events to the broker.
        log: The trial's log, which is kept within its maximum size meanwhile.
        rank: Rank of this process.
        stacks: File for the stacks in case no thread can send them.

    Yields:
        The trial's position for the error message; update it with the trial's events.
    """
    position = TrialPosition() if rank == 0 else TrialPosition("running")
    training = threading.get_ident()

    def end(error: str) -> None:
        found = thread_stacks(first=training)
        with suppress(OSError):  # past `sys.stderr`, whose lock the training thread may hold for ever
            os.write(_STANDARD_ERROR, f"{error}\n{found}".encode())
        try:
            flush()
            broker.fail(lease, rank, error, found, wait_s=0.0, timeout_s=_REPORT_TIMEOUT_S)
            ray.kill(ray.get_runtime_context().current_actor)
            sleep(_KILL_TIMEOUT_S)
        finally:  # whatever went wrong: without its broker the run ends and reports it
            os._exit(1)

    watchdog = Watchdog(limits, position, trial_memory_bytes)
    with kill_if_hung(limits.duration_s, stacks), watch(watchdog, end, log.limit_size if log else None):
        yield position
