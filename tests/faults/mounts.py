"""Small disks and read-only folders, as only root can make them."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_DISK_BYTES = 64 * 2**20
"""Enough for a small study, its mirror and its report."""


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Give a folder a disk of its own that is soon full; where nobody may, the fault is not tried."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(folder))
    with _unmounted_at_end(folder):
        yield


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write to a folder, not even who has done so until now."""
    _mount("--bind", str(folder), str(folder))
    with _unmounted_at_end(folder):
        _mount("-o", "remount,bind,ro", str(folder))
        yield


def _mount(*arguments: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing may be mounted here: {done.stderr.strip()}")


@contextmanager
def _unmounted_at_end(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
