"""What a worker prints while it trains a trial, in a file of the trial's own.

The process's standard output and error themselves are led into the file, not Python's `sys.stdout` alone:
that costs two system calls a trial, catches what C libraries, warnings and `logging` print too, and what
was printed is in the file even when the process is killed a moment later. Ray's own file of the worker's
output has what is printed before, between and after trials.

The price is that nobody stands between a print and the disk, so the bound is kept by looking: what a
chatty trial wrote beyond it since the last look is cut off again, and the rest goes nowhere.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

MAX_BYTES = 2**20
"""Of what one attempt prints."""
_CUT = b"\n--- the rest was left out: more than %d bytes ---\n"
_STANDARD = (1, 2)
"""Descriptors of standard output and error."""


class TrialLog:
    """An open log, which standard output and error lead into.

    Args:
        descriptor: Of the file, opened to append.
        max_bytes: What the attempt may write.
    """

    def __init__(self, descriptor: int, max_bytes: int) -> None:
        self._descriptor = descriptor
        self._begin = os.fstat(descriptor).st_size
        self._max_bytes, self._is_full = max_bytes, False

    def keep_bound(self) -> None:
        """Cut off what is too much; nothing more is written then."""
        with suppress(OSError):  # of a log, no trial fails
            self._cut()

    def _cut(self) -> None:
        end = self._begin + self._max_bytes
        if self._is_full or os.fstat(self._descriptor).st_size <= end:
            return
        self._is_full = True
        with open(os.devnull, "wb") as nowhere:
            for standard in _STANDARD:
                os.dup2(nowhere.fileno(), standard)
        os.ftruncate(self._descriptor, end)
        _write(self._descriptor, _CUT % self._max_bytes)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written since it was opened."""
        return os.fstat(self._descriptor).st_size <= self._begin


@contextmanager
def logged(path: Path, attempt: int, max_bytes: int = MAX_BYTES) -> Iterator[TrialLog | None]:
    """Lead standard output and error into a file while the block runs.

    What earlier attempts left in the file stays, with a line between. A file that stays empty is removed.

    Args:
        path: The file. Where its folder cannot be reached or written from here, as on a node that does
            not share the study folder, output stays where it goes, which is Ray's file of this worker.
        attempt: Which try of the trial this is, from 1.
        max_bytes: What it may write.

    Yields:
        The log; None where there is none.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError:
        yield None
        return
    before = os.fstat(descriptor).st_size
    if before:
        header = f"--- attempt {attempt}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC ---\n"
        _write(descriptor, header.encode())
    log = TrialLog(descriptor, max_bytes)
    try:
        with _led_into(descriptor):
            try:
                yield log
            finally:
                _flush()
                log.keep_bound()
    finally:
        with suppress(OSError):  # of a log, no trial fails
            if log.is_empty:
                os.ftruncate(descriptor, before)
            if log.is_empty and not before:
                path.unlink()
        os.close(descriptor)


@contextmanager
def _led_into(descriptor: int) -> Iterator[None]:
    _flush()
    saved = [os.dup(standard) for standard in _STANDARD]
    for standard in _STANDARD:
        os.dup2(descriptor, standard)
    try:
        yield
    finally:
        for standard, own in zip(_STANDARD, saved, strict=True):
            os.dup2(own, standard)
            os.close(own)


def _flush() -> None:
    """Write out what Python and the C library hold back."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a full disk, a stream that the trial closed
            stream.flush()
    ctypes.CDLL(None).fflush(None)


def _write(descriptor: int, text: bytes) -> None:
    with suppress(OSError):  # a full disk
        os.write(descriptor, text)
