"""How many worker groups the driver's node has memory for."""

from collections.abc import Collection
from typing import Protocol

import psutil

from l2rw_ray.config import Resources

WORKER_BYTES = 600 * 2**20
"""What a worker takes before its trial's own data and model: Python, torch and Ray."""
GROUP_BYTES = 8 * 2**20
"""What the driver and Ray keep on the driver's node for a worker group elsewhere; an upper bound of what
`benchmarks/head_cost.py` measures."""
_SHARE = 0.9
"""Share of the available memory that worker groups may take."""


class _Group(Protocol):
    @property
    def resources(self) -> Resources: ...
    @property
    def is_placed(self) -> bool: ...


def available_bytes() -> int:
    """Return the memory of this node that is available without swapping."""
    available: int = psutil.virtual_memory().available
    return available


class HeadMemory:
    """Limits worker groups by the memory of the driver's node."""

    def __init__(self) -> None:
        self._group_bytes = WORKER_BYTES

    def further_groups(self, groups: Collection[_Group], *, are_here: bool) -> int:
        """Return how many more worker groups the driver's node has memory for.

        Args:
            groups: The worker groups; those that are starting have yet to take their memory.
            are_here: Whether the workers run on the driver's node.
        """
        workers = max((group.resources.workers for group in groups), default=1)
        self._group_bytes = workers * WORKER_BYTES if are_here else GROUP_BYTES
        starting = sum(not group.is_placed for group in groups)
        return max(int(_SHARE * available_bytes() / self._group_bytes) - starting, 0)

    def reason(self, groups: int) -> str:
        """Return why there are no more than so many worker groups."""
        return (
            f"for {groups} worker group{'s' * (groups != 1)} only: the driver's node has "
            f"{available_bytes() / 2**30:.1f} GiB available, and each group takes about "
            f"{self._group_bytes / 2**20:.0f} MiB of it"
        )
