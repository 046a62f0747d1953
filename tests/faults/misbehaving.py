"""A metric that does as it is told: each file in the folder `$FAULTS_ORDERS` is obeyed once, by one process.

Lies beside the study files of the tests that break trials from within.
"""

import os
import signal
import time
from pathlib import Path

from torch import Tensor

_ALLOCATED_BYTES = 3 * 2**30


def confidence(outputs_NC: Tensor, targets_N: Tensor) -> float:
    """Mean of the largest probability, computed after an order was obeyed."""
    if "FAULTS_ORDERS" in os.environ:
        _obey(Path(os.environ["FAULTS_ORDERS"]))
    return float(outputs_NC.softmax(dim=1).amax(dim=1).mean())


def _obey(orders: Path) -> None:
    for order in sorted(orders.glob("*.order")):
        try:
            order.rename(order.with_suffix(".taken"))
        except FileNotFoundError:
            continue  # another process was faster
        {"hang": _hang, "allocate": _allocate, "die": _die}[order.stem.rstrip("0123456789")]()


def _hang() -> None:
    time.sleep(24 * 3600)


def _allocate() -> None:
    """More than the limit, for long enough to be seen; resident, because it is written to."""
    held = bytearray(_ALLOCATED_BYTES)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(60)


def _die() -> None:
    """As when the kernel ends the process that takes most memory."""
    os.kill(os.getpid(), signal.SIGKILL)
