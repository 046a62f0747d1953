"""Ending a trial that takes more than its limits allow, wherever it is at that moment.

A thread of each worker looks at the clock and at the process's memory while the trial trains. It cannot
interrupt the training thread, so the process ends, and the worker group gets another. A trial that hangs in C
code without ever releasing Python's global lock stops that thread too: then `faulthandler`, which needs no
lock, writes the stacks to a file and ends the process a little later.
"""

import faulthandler
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
"""How much later than the limit a process ends whose threads cannot run."""
_LOOK_EVERY_S = 1.0
_STANDARD_ERROR = 2


class TrialPosition:
    """Where a trial is, as far as it has told; only its first rank tells.

    Args:
        text: What to say before it has told anything.
    """

    def __init__(self, text: str = "preparing its data and model") -> None:
        self._text, self._epochs = text, 0

    def note(self, event: Event) -> None:
        """Take note of what the trial tells."""
        match event:
            case TrialStarted():
                self._epochs = event.epochs
                self._is_in(len(event.history) + 1)
            case EpochCompleted():
                self._is_in(event.epoch + 1)

    def _is_in(self, epoch: int) -> None:
        self._text = f"in epoch {epoch}" if epoch <= self._epochs else "in its last evaluation"

    def __str__(self) -> str:
        return self._text


def duration_error(duration_s: float, place: object) -> str:
    """What to record of a trial that took too long."""
    return (
        f"over limits.duration_s: still {place} after {duration_s:g} s; "
        "raise limits.duration_s or shorten the trial"
    )


def _memory_error(limit_bytes: int, used_bytes: int, place: object) -> str:
    return (
        f"over limits.memory_bytes: a worker holds {used_bytes} bytes {place}, the limit is {limit_bytes}; "
        "raise limits.memory_bytes or make the trial smaller"
    )


class Watchdog:
    """Looks after one attempt of a trial, from now on.

    Args:
        limits: What it may take.
        place: Where it is, in words.
        own_memory_bytes: Tells the process's resident memory, without what it shares.
        clock: Seconds since some moment.
    """

    def __init__(
        self,
        limits: Limits,
        place: object,
        own_memory_bytes: Callable[[], int],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._limits, self._place = limits, place
        self._own_memory_bytes, self._clock = own_memory_bytes, clock
        self._started = clock()

    def breach(self) -> str | None:
        """The error of the limit that the trial is over; None where it is over none."""
        duration_s, memory_bytes = self._limits.duration_s, self._limits.memory_bytes
        if duration_s is not None and self._clock() - self._started >= duration_s:
            return duration_error(duration_s, self._place)
        if memory_bytes is not None and (used_bytes := self._own_memory_bytes()) > memory_bytes:
            return _memory_error(memory_bytes, used_bytes, self._place)
        return None

    @property
    def pause_s(self) -> float:
        """How long nothing need be looked at."""
        if self._limits.duration_s is None:
            return _LOOK_EVERY_S
        left_s = self._started + self._limits.duration_s - self._clock()
        return min(max(left_s, 0.0), _LOOK_EVERY_S)


@contextmanager
def watch(
    watchdog: Watchdog, on_breach: Callable[[str], None], on_look: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Have a thread look every second while the block runs.

    Args:
        watchdog: Tells of a breach.
        on_breach: Takes its error, in that thread, which looks no more; meant not to return.
        on_look: Called at each look.
    """
    over = threading.Event()

    def look() -> None:
        while not over.wait(watchdog.pause_s):
            on_look()
            error = watchdog.breach()
            if error is not None:
                on_breach(error)
                return

    thread = threading.Thread(target=look, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def kill_if_hung(duration_s: float | None, stacks: Path) -> Iterator[None]:
    """End this process some time after `duration_s`, should no thread of it be able to.

    Args:
        duration_s: The limit; None where there is none.
        stacks: File that then holds the stacks of all threads, else it is removed; where it cannot be
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
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    except OSError:
        descriptor = os.dup(_STANDARD_ERROR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def thread_stacks(first: int) -> str:
    """The stacks of all threads but the caller's, in the form of tracebacks.

    Args:
        first: Identity of the thread to begin with, as `threading.get_ident` returns it.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()
    frames.pop(threading.get_ident(), None)
    parts = []
    for ident in sorted(frames, key=lambda ident: ident != first):
        stack = "".join(traceback.format_stack(frames[ident]))
        parts.append(f"Thread {names.get(ident, ident)} (most recent call last):\n{stack}")
    return "\n".join(parts)
