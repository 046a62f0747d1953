"""The processes of a run, also those whose parent was killed."""

import ctypes
import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic, sleep

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_OF_A_CLUSTER = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::_AutoscalingCoordinator")
"""What Ray keeps for all runs of a cluster."""
LEFT_S = 180.0
"""How long what a killed driver leaves may take to notice: Ray's agents wait for theirs."""


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent dies, so that none gets lost."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no process can adopt orphans here")


def living(pid: int | None = None) -> set[psutil.Process]:
    """All processes below one, by default below this one, that have not exited."""
    alive = set()
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                alive.add(process)
    return alive


def titled(title: str, among: Iterable[psutil.Process]) -> list[psutil.Process]:
    """The processes whose command line holds a text, by id."""
    found = []
    for process in among:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if title in " ".join(process.cmdline()):
                found.append(process)
    return sorted(found, key=lambda process: process.pid)


def kill(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL, all at once."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


def of_runs(processes: Iterable[psutil.Process]) -> set[psutil.Process]:
    """Those that work for a run, where the cluster they belong to stays."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            title = " ".join(process.cmdline())
            if title.startswith("ray::") and not title.startswith(_OF_A_CLUSTER):
                found.add(process)
    return found


def wait_for_end(left: Callable[[], set[psutil.Process]], started: Iterable[int], within_s: float) -> None:
    """Wait until nothing is left; fails the test when something stays.

    Args:
        left: Tells what is.
        started: Ids of this process's own children, whose exit codes others wait for.
        within_s: How long that may take.
    """
    own, deadline = set(started), monotonic() + within_s
    while staying := left():
        assert monotonic() < deadline, f"still running: {_named(staying)}"
        _bury(own)
        sleep(0.2)


def _bury(own: set[int]) -> None:
    """Take note of the ends of adopted processes."""
    for process in psutil.Process().children():
        with suppress(psutil.NoSuchProcess, ChildProcessError):
            if process.pid not in own and process.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(process.pid, os.WNOHANG)


def _named(processes: Iterable[psutil.Process]) -> str:
    lines = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            lines.append(f"{process.pid} {' '.join(process.cmdline())[:60]}")
    return "; ".join(lines)
