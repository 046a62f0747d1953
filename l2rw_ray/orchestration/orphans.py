"""Processes of a run that must not outlive the node they belong to."""

import ctypes
import os
import signal
from contextlib import suppress

import psutil

_PR_SET_PDEATHSIG = 1
"""Of Linux's `prctl`."""
_NODE = "raylet"
"""Name of Ray's own process of a node, the parent of its actors."""


def end_with_node() -> None:
    """Have the kernel kill this process, if it is an actor of Ray's, once its node has ended.

    Ray's processes notice that by themselves, as after a driver's SIGKILL, but now and then one hangs in its
    own exit, and would stay for ever. Does nothing in other processes, and where there is no Linux.
    """
    with suppress(psutil.Error):
        node = psutil.Process(os.getppid())
        if node.name() == _NODE:
            kill_with_parent(node.pid)


def kill_with_parent(parent: int) -> None:
    """Have the kernel kill this process at its parent's end, or end it now if that has been.

    Args:
        parent: The parent's id, as it was known to be alive.
    """
    with suppress(OSError, AttributeError):  # another system
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
