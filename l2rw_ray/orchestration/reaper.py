"""Ends what a killed driver leaves of its private cluster.

Ray's own processes notice the loss after up to a minute, and now and then one hangs in its own exit, and
would stay for ever. `reaped` has this file run as a script of its own, beside them.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

_LOOK_EVERY_S = 1.0


@contextmanager
def reaped() -> Iterator[None]:
    """Should this process be killed within the block, all below it goes with it, a moment later."""
    command = [sys.executable, "-P", __file__, str(os.getpid())]
    nowhere = subprocess.DEVNULL
    # in a session of its own: what ends a terminal's processes must not end it first
    reaper = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)
    try:
        yield
    finally:
        reaper.kill()
        reaper.wait()


def reap(driver: psutil.Process) -> None:
    """Wait for the end of a process, then kill what was below it."""
    below: set[psutil.Process] = set()
    while _lives(driver):
        below = {process for process in below if process.is_running()}
        below |= _children(driver)
        time.sleep(_LOOK_EVERY_S)
    for process in tuple(below):
        below |= _children(process)
    for process in below - {psutil.Process()}:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:  # it has ended between the two
        return False


def _children(process: psutil.Process) -> set[psutil.Process]:
    try:
        return set(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return set()


if __name__ == "__main__":
    with suppress(psutil.NoSuchProcess):
        reap(psutil.Process(int(sys.argv[1])))
