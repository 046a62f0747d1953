"""Ends what a private cluster leaves, even where its driver was killed.

Ray's own processes notice the loss after up to a minute, and now and then one hangs in its own exit, and
would stay for ever. `reaped` has this file run as a script of its own, beside them.
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
"""Variable of the environment that processes of a cluster inherit, whoever their parent is by now."""
_READABLE = {"SPT_NOENV": "1"}
"""Keeps Ray's agents from writing their titles over their environment."""
_PAUSE_S = 0.2
_GRACE_S = 3.0
"""How long processes may take to exit by themselves where the driver has let them go."""
MAX_S = _GRACE_S + 2.0
"""How long reaping takes at most: what no signal ends may wait for a disk that does not answer."""


@contextmanager
def reaped() -> Iterator[dict[str, str]]:
    """Programs started with what this yields end with the block, or when this process is killed.

    After the block they have some seconds to exit by themselves.

    Yields:
        Variables that tell them, for their environment.

    Raises:
        OSError: No process can be started.
    """
    value = secrets.token_hex(16)
    mark = f"{_MARK}={value}"
    command = [sys.executable, "-P", __file__, mark]
    nowhere = subprocess.DEVNULL
    # in a session of its own: what ends a terminal's processes must not end it first
    reaper = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True
    )
    try:
        yield {_MARK: value, **_READABLE}
    finally:
        reaper.communicate(b"let go")
        if reaper.returncode != 0:  # somebody has killed it
            reap(mark, _GRACE_S)


def reap(mark: str, grace_s: float) -> None:
    """Kill all processes that have a mark, until two looks in a row find none.

    Args:
        mark: `NAME=value`, as it stands in their environment.
        grace_s: How long they may take to exit by themselves.
    """
    psutil.wait_procs(_marked(mark), timeout=grace_s)
    clear, deadline = 0, time.monotonic() + MAX_S - _GRACE_S
    while clear < 2 and time.monotonic() < deadline:
        found = _marked(mark)
        for process in found:
            with suppress(psutil.Error):  # it is gone, or another user's
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
    """The variables that a process was started with, `NAME=value` each."""
    file = Path("/proc") / str(process.pid) / "environ"
    if file.parent.exists():
        return file.read_bytes()
    return "\0".join(f"{name}={value}" for name, value in process.environ().items()).encode()


if __name__ == "__main__":
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # they are meant for the driver
        signal.signal(ending, signal.SIG_IGN)
    is_let_go = bool(sys.stdin.buffer.read(1))  # else the driver is no more
    reap(sys.argv[1], _GRACE_S if is_let_go else 0.0)
