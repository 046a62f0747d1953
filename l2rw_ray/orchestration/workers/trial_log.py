"""Redirect a worker's output to one log file per trial.

The process's standard output and error are redirected, not Python's `sys.stdout` alone: this costs two
system calls per trial, includes the output of C libraries, warnings and `logging`, and loses nothing when the
process is killed. Output before, between and after trials goes to Ray's log of the worker.

Since nothing stands between a print and the disk, the maximum size is enforced periodically: a log that has
grown past it is truncated, and later output of the attempt is discarded.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

MAX_BYTES = 2**20
"""Maximum size of one attempt's output."""
_TRUNCATED = b"\n--- truncated at %d bytes ---\n"
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
_STANDARD = (1, 2)
"""Descriptors of standard output and error."""


class TrialLog:
    """An open log that standard output and error are redirected to.

    Args:
        descriptor: Descriptor of the file, opened for appending.
        max_bytes: Maximum size of the attempt's output.
    """

    def __init__(self, descriptor: int, max_bytes: int) -> None:
        self._descriptor = descriptor
        self._begin = os.fstat(descriptor).st_size
        self._max_bytes, self._is_full = max_bytes, False

    def limit_size(self) -> None:
        """Truncate a log that is too large and discard further output."""
        with suppress(OSError):  # a log never fails a trial
            self._truncate()

    def _truncate(self) -> None:
        end = self._begin + self._max_bytes
        if self._is_full or os.fstat(self._descriptor).st_size <= end:
            return
        self._is_full = True
        with open(os.devnull, "wb") as nowhere:
            for standard in _STANDARD:
                os.dup2(nowhere.fileno(), standard)
        os.ftruncate(self._descriptor, end)
        _write(self._descriptor, _TRUNCATED % self._max_bytes)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written since the log was opened."""
        return os.fstat(self._descriptor).st_size <= self._begin


@contextmanager
def logged(path: Path, attempt: int, max_bytes: int = MAX_BYTES) -> Iterator[TrialLog | None]:
    """Redirect standard output and error to a file while the block runs.

    Output of earlier attempts is kept, with a separator line. A file without output is removed.

    Args:
        path: The file. If it cannot be opened, as on a node that does not share the study folder, output
            is not redirected and goes to Ray's log of the worker.
        attempt: Number of the attempt, from 1.
        max_bytes: Maximum size of the attempt's output.

    Yields:
        The log; None if the file cannot be opened.
    """
    try:
        descriptor = os.open(path, _FLAGS, 0o644)
    except OSError:
        yield None
        return
    before = os.fstat(descriptor).st_size
    if before:
        header = f"--- attempt {attempt}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC ---\n"
        _write(descriptor, header.encode())
    log = TrialLog(descriptor, max_bytes)
    try:
        with _redirected_to(descriptor):
            try:
                yield log
            finally:
                _flush()
                log.limit_size()
    finally:
        with suppress(OSError):  # a log never fails a trial
            if log.is_empty:
                os.ftruncate(descriptor, before)
            if log.is_empty and not before:
                path.unlink()
        os.close(descriptor)


@contextmanager
def _redirected_to(descriptor: int) -> Iterator[None]:
    _flush()
    saved = [os.dup(standard) for standard in _STANDARD]
    for standard in _STANDARD:
        os.dup2(descriptor, standard)
    try:
        yield
    finally:
        for standard, original in zip(_STANDARD, saved, strict=True):
            os.dup2(original, standard)
            os.close(original)


def _flush() -> None:
    """Flush the buffers of Python and of the C library."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a full disk, a stream that the trial closed
            stream.flush()
    ctypes.CDLL(None).fflush(None)


def _write(descriptor: int, text: bytes) -> None:
    with suppress(OSError):  # a full disk
        os.write(descriptor, text)
