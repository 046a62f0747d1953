"""Ends what a private cluster leaves, even where its driver was killed.

Ray's own processes notice the loss after up to a minute, and now and then one hangs in its own exit, and
would stay for ever. `reaped` has this file run as a script of its own, beside them.
"""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_MARK = "L2RW_RAY_CLUSTER"
"""Variable of the environment that processes of a cluster inherit, whoever their parent is by now."""
_READABLE = {"SPT_NOENV": "1"}
"""Keeps Ray's agents from writing their titles over their environment."""
_PAUSE_S = 0.2
_MOST_LOOKS = 25
"""For five seconds: what no signal ends may wait for a disk that does not answer."""


@contextmanager
def reaped() -> Iterator[None]:
    """All that this process starts within the block ends with it, or a moment after this process is killed.

    Raises:
        OSError: No process can be started.
    """
    inherited = {_MARK: secrets.token_hex(16), **_READABLE}
    before = {name: os.environ.get(name) for name in inherited}
    command = [sys.executable, "-P", __file__, f"{_MARK}={inherited[_MARK]}"]
    nowhere = subprocess.DEVNULL
    # in a session of its own: what ends a terminal's processes must not end it first
    reaper = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True
    )
    os.environ.update(inherited)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        reaper.communicate()


def reap(mark: str) -> None:
    """Kill all processes that have a mark, and those below them, until two looks in a row find none.

    Args:
        mark: `NAME=value`, as it stands in their environment.
    """
    clear = 0
    for _ in range(_MOST_LOOKS):
        found = _of_cluster(mark.encode())
        for process in found:
            with suppress(psutil.Error):  # it is gone, or another user's
                process.kill()
        clear = 0 if found else clear + 1
        if clear == 2:
            break
        time.sleep(_PAUSE_S)


def _of_cluster(mark: bytes) -> set[psutil.Process]:
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and mark in _environment(process):
                found |= {process, *process.children(recursive=True)}
    return found


def _environment(process: psutil.Process) -> bytes:
    """The variables that a process was started with, `NAME=value` each."""
    file = Path("/proc") / str(process.pid) / "environ"
    if file.parent.exists():
        return file.read_bytes()
    return "\0".join(f"{name}={value}" for name, value in process.environ().items()).encode()


if __name__ == "__main__":
    sys.stdin.read()  # ends when the driver closes it, or is no more
    reap(sys.argv[1])
