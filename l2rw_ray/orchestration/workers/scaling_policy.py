"""Decide which worker groups to start and when to give up, from pending trials, running groups, failures."""

from collections.abc import Mapping
from dataclasses import dataclass

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.broker.trial_queue import PendingTrials
from l2rw_ray.planning.placement import Nodes, allocate

MAX_GROUP_FAILURES = 3
"""Failures of worker groups for the same resources, on the same nodes, after which no more are started."""


@dataclass(frozen=True)
class ScalingDecision:
    """Which worker groups to start, and whether to give up.

    Attributes:
        start: Number of worker groups to start by resources; those that fit in the fewest places first.
        is_stuck: Whether there are pending trials that no worker group will ever train.
    """

    start: Mapping[Resources, int]
    is_stuck: bool


def decide_scaling(
    pending: Mapping[Resources, PendingTrials],
    running: Mapping[Resources, int],
    failed: Mapping[Resources, int],
    nodes: Nodes,
    limit: int | None,
) -> ScalingDecision:
    """Decide which worker groups to start: as many as fit the cluster and have trials waiting for them.

    Args:
        pending: Pending trials by resources.
        running: Number of worker groups by resources, including those that are starting.
        failed: Number of worker groups by resources that failed since nodes last joined or left.
        nodes: Each node's resources by Ray's names.
        limit: Maximum number of worker groups; None for as many as fit.
    """
    wanted = {
        resources: None if trials.waiting is None else trials.waiting + trials.running
        for resources, trials in pending.items()
        if trials.waiting != 0 and failed.get(resources, 0) < MAX_GROUP_FAILURES
    }
    start = {
        resources: groups for resources, groups in allocate(wanted, running, nodes, limit).items() if groups
    }
    is_idle = not start and not any(running.values())
    return ScalingDecision(start, is_idle and any(trials.waiting != 0 for trials in pending.values()))
