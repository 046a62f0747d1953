"""Kill the processes that a private cluster leaves, even if its driver was killed.

Ray's processes notice the loss of the driver after up to a minute, and some hang while they exit. `reaped`
runs this file as a script in a separate process.
"""

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_MARK = "L2RW_RAY_CLUSTER"
"""Environment variable that all processes of a cluster inherit, even those that change their parent."""
_READABLE = {"SPT_NOENV": "1"}
"""Keeps Ray's agents from overwriting their environment with their titles."""
_PAUSE_S = 0.2
_GRACE_S = 3.0
"""How long processes may take to exit by themselves after the driver has shut down."""
MAX_S = _GRACE_S + 2.0
"""Maximum time of reaping: a process that waits for a dead disk cannot be killed."""


@contextmanager
def reaped() -> Iterator[dict[str, str]]:
    """End processes started in the block when the block ends or this process is killed.

    After the block they have some seconds to exit by themselves.

    Yields:
        Environment variables that mark the processes to end.

    Raises:
        OSError: No process can be started.
    """
    value = secrets.token_hex(16)
    mark = f"{_MARK}={value}"
    command = [sys.executable, "-P", __file__, mark]
    devnull = subprocess.DEVNULL
    # in a new session, so that signals to the terminal's processes do not end it
    reaper = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=devnull, stderr=devnull, start_new_session=True
    )
    try:
        yield {_MARK: value, **_READABLE}
    finally:
        reaper.communicate(b"done")
        if reaper.returncode != 0:  # it was killed
            reap(mark, _GRACE_S)


def reap(mark: str, grace_s: float) -> None:
    """Kill all processes with a mark, until two consecutive searches find none.

    Args:
        mark: `NAME=value`, as in their environment.
        grace_s: How long they may take to exit by themselves.
    """
    psutil.wait_procs(_marked(mark), timeout=grace_s)
    clear, deadline = 0, time.monotonic() + MAX_S - _GRACE_S
    while clear < 2 and time.monotonic() < deadline:
        found = _marked(mark)
        for process in found:
            with suppress(psutil.Error):  # it has exited, or belongs to another user
                process.kill()
        clear = 0 if found else clear + 1
        time.sleep(_PAUSE_S)


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and mark.encode() in _environment(process):
                found.append(process)
    return found


def _environment(process: psutil.Process) -> bytes:
    """Return the environment that a process was started with, as `NAME=value` entries."""
    file = Path("/proc") / str(process.pid) / "environ"
    if file.parent.exists():
        return file.read_bytes()
    return "\0".join(f"{name}={value}" for name, value in process.environ().items()).encode()


if __name__ == "__main__":
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # they are meant for the driver
        signal.signal(ending, signal.SIG_IGN)
    has_shut_down = bool(sys.stdin.buffer.read(1))  # else the driver was killed
    reap(sys.argv[1], _GRACE_S if has_shut_down else 0.0)
