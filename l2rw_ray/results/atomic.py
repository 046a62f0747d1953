"""Files that are either wholly there or not there at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which replaces `path` when the block succeeds.

    Content is on the disk before the name changes, so that a crash leaves the old file or the new
    one. The temporary name ends in `.tmp`, which no reader looks at.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def is_being_written(temporary: Path) -> bool:
    """Whether the process that made a temporary path of `atomic_path` lives, as far as this machine knows."""
    process = temporary.name.split(".")[-2]
    return process.isdigit() and psutil.pid_exists(int(process))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
