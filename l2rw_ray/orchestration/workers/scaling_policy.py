"""Decide which worker groups to start and when to give up, from pending trials, running groups, failures."""

from collections.abc import Mapping
from dataclasses import dataclass

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.broker.trial_queue import PendingTrials
from l2rw_ray.planning.placement import Nodes, allocate

MAX_GROUP_FAILURES = 3
"""Worker groups of one kind that may fail on the same nodes before no more are started there."""


@dataclass(frozen=True)
class ScalingDecision:
    """What to do about worker groups.

    Attributes:
        start: WorkerGroupPool to start, by kind, those first that few places can hold.
        is_stuck: Whether trials are left that no worker group will ever train.
    """

    start: Mapping[Resources, int]
    is_stuck: bool


def decide_scaling(
    work: Mapping[Resources, PendingTrials],
    running: Mapping[Resources, int],
    lost: Mapping[Resources, int],
    nodes: Nodes,
    limit: int | None,
) -> ScalingDecision:
    """Decide which worker groups to start: as many as there is room for, and trials that wait.

    Args:
        work: Trials by kind.
        running: WorkerGroupPool by kind, those that come up among them.
        lost: WorkerGroupPool by kind that failed since nodes last joined or left.
        nodes: Each node's resources by Ray's names.
        limit: The user's own limit of worker groups, if any.
    """
    wanted = {
        kind: None if trials.left is None else trials.left + trials.leased
        for kind, trials in work.items()
        if trials.left != 0 and lost.get(kind, 0) < MAX_GROUP_FAILURES
    }
    start = {kind: number for kind, number in allocate(wanted, running, nodes, limit).items() if number}
    is_idle = not start and not any(running.values())
    return ScalingDecision(start, is_stuck=is_idle and any(trials.left != 0 for trials in work.values()))
