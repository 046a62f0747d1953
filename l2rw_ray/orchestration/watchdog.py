"""End a trial that exceeds its limits, wherever it is at that moment.

A thread of each worker checks the clock and the process's memory while the trial trains. It cannot
interrupt the training thread, so it ends the process, which is then replaced. A trial that hangs in C code
without releasing Python's global lock blocks that thread too: then `faulthandler`, which needs no lock,
writes the stacks to a file and ends the process a little later.
"""

import faulthandler
import math
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

from l2rw_ray.config import Limits
from l2rw_ray.events import EpochCompleted, Event, TrialStarted

HANG_GRACE_S = 10.0
"""Time after the limit at which a process whose threads cannot run is ended."""
_CHECK_EVERY_S = 1.0
_STANDARD_ERROR = 2


class TrialPosition:
    """Where a trial is, from its events, which only rank 0 emits.

    Args:
        text: The position before the first event.
    """

    def __init__(self, text: str = "preparing its data and model") -> None:
        self._text, self._epochs = text, 0.0

    def update(self, event: Event) -> None:
        """Move to the position after an event."""
        match event:
            case TrialStarted():
                self._epochs = event.epochs
                self._enter(len(event.history) + 1)
            case EpochCompleted():
                self._enter(math.floor(event.epoch) + 1)

    def _enter(self, epoch: int) -> None:
        self._text = f"in epoch {epoch}" if epoch <= math.ceil(self._epochs) else "in its last evaluation"

    def __str__(self) -> str:
        return self._text


def duration_error(duration_s: float, position: object) -> str:
    """Return the error of a trial that took too long."""
    return (
        f"over limits.duration_s: still {position} after {duration_s:g} s; "
        "raise limits.duration_s or shorten the trial"
    )


def _memory_error(limit_bytes: int, used_bytes: int, position: object) -> str:
    return (
        f"over limits.memory_bytes: a worker holds {used_bytes} bytes {position}, "
        f"the limit is {limit_bytes}; raise limits.memory_bytes or make the trial smaller"
    )


class Watchdog:
    """Checks one attempt of a trial against its limits, from its construction on.

    Args:
        limits: Limits of the trial.
        position: Where the trial is, for the error.
        own_memory_bytes: Returns the process's resident memory, without shared memory.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self,
        limits: Limits,
        position: object,
        own_memory_bytes: Callable[[], int],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._limits, self._position = limits, position
        self._own_memory_bytes, self._clock = own_memory_bytes, clock
        self._started = clock()

    def breach(self) -> str | None:
        """Return the error of the limit that the trial exceeds; None while it is within its limits."""
        duration_s, memory_bytes = self._limits.duration_s, self._limits.memory_bytes
        if duration_s is not None and self._clock() - self._started >= duration_s:
            return duration_error(duration_s, self._position)
        if memory_bytes is not None and (used_bytes := self._own_memory_bytes()) > memory_bytes:
            return _memory_error(memory_bytes, used_bytes, self._position)
        return None

    @property
    def pause_s(self) -> float:
        """Time until the next check."""
        if self._limits.duration_s is None:
            return _CHECK_EVERY_S
        left_s = self._started + self._limits.duration_s - self._clock()
        return min(max(left_s, 0.0), _CHECK_EVERY_S)


@contextmanager
def watch(
    watchdog: Watchdog, on_breach: Callable[[str], None], on_check: Callable[[], None] | None = None
) -> Iterator[None]:
    """Check the limits every second in a thread while the block runs.

    Args:
        watchdog: Checks the limits.
        on_breach: Called with the error, in that thread, which then ends; meant not to return.
        on_check: Called before each check.
    """
    over = threading.Event()

    def check() -> None:
        while not over.wait(watchdog.pause_s):
            if on_check is not None:
                on_check()
            error = watchdog.breach()
            if error is not None:
                on_breach(error)
                return

    thread = threading.Thread(target=check, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def kill_if_hung(duration_s: float | None, stacks: Path) -> Iterator[None]:
    """End this process some time after `duration_s`, in case none of its threads can.

    Args:
        duration_s: The limit; None for no limit.
        stacks: File for the stacks of all threads, removed if the block ends in time. If it cannot be
            written, they go to standard error.
    """
    if duration_s is None:
        yield
        return
    with _writable(stacks) as file:
        faulthandler.dump_traceback_later(duration_s + HANG_GRACE_S, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            with suppress(OSError):
                stacks.unlink()


@contextmanager
def _writable(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    except OSError:
        descriptor = os.dup(_STANDARD_ERROR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def thread_stacks(first: int) -> str:
    """Return the stacks of all threads except the caller's, formatted as tracebacks.

    Args:
        first: Identity of the thread to list first, as `threading.get_ident` returns it.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()
    frames.pop(threading.get_ident(), None)
    parts = []
    for ident in sorted(frames, key=lambda ident: ident != first):
        stack = "".join(traceback.format_stack(frames[ident]))
        parts.append(f"Thread {names.get(ident, ident)} (most recent call last):\n{stack}")
    return "\n".join(parts)
