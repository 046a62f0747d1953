"""Which lanes to start, and when to give up: decided from what is left, what runs and what was lost."""

from collections.abc import Mapping
from dataclasses import dataclass

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.broker.trial_queue import PendingTrials
from l2rw_ray.planning.placement import Nodes, allocate

MOST_LOST = 3
"""Lanes of one kind that may be lost on the same nodes; after that no more of them are started there."""


@dataclass(frozen=True)
class Staffing:
    """What to do about lanes.

    Attributes:
        start: Lanes to start, by kind, those first that few places can hold.
        is_hopeless: Whether trials are left that no lane will ever train.
    """

    start: Mapping[Resources, int]
    is_hopeless: bool


def staffing(
    work: Mapping[Resources, PendingTrials],
    running: Mapping[Resources, int],
    lost: Mapping[Resources, int],
    nodes: Nodes,
    limit: int | None,
) -> Staffing:
    """Decide which lanes to start: as many as there is room for, and trials that wait.

    Args:
        work: Trials by kind.
        running: Lanes by kind, those that come up among them.
        lost: Lanes by kind that failed since nodes last joined or left.
        nodes: Each node's resources by Ray's names.
        limit: The user's own limit of lanes, if any.
    """
    wanted = {
        kind: None if trials.left is None else trials.left + trials.leased
        for kind, trials in work.items()
        if trials.left != 0 and lost.get(kind, 0) < MOST_LOST
    }
    start = {kind: number for kind, number in allocate(wanted, running, nodes, limit).items() if number}
    is_idle = not start and not any(running.values())
    return Staffing(start, is_hopeless=is_idle and any(trials.left != 0 for trials in work.values()))
