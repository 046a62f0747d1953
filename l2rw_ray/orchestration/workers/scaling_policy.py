"""Decide which worker groups to start, and whether a run waits for nodes that no trial can do without."""

from collections.abc import Mapping
from dataclasses import dataclass

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.broker.trial_queue import PendingTrials
from l2rw_ray.planning.placement import Nodes, allocate

MAX_FAILED_STARTS = 3
"""Failed starts for the same resources, on the same nodes, after which no more groups are started."""
STARTS_WORTH = 2.0
"""Work that a further worker group must find, in units of what its own start takes."""


@dataclass(frozen=True)
class ScalingDecision:
    """Which worker groups to start.

    Attributes:
        start: Number of worker groups to start by resources; those that fit in the fewest places first.
        is_stuck: Whether trials are pending that no worker group will train unless nodes join.
        held_back: Number of worker groups that would start if the driver's node had the memory.
    """

    start: Mapping[Resources, int]
    is_stuck: bool
    held_back: int = 0


def worthwhile_groups(trials: int | None, trial_s: float | None, start_s: float) -> int | None:
    """Return the number of worker groups up to which the last one saves time.

    A group that starts now is of use to what is left after its start. So the work left, shared by all groups,
    has to last `STARTS_WORTH` times as long as a start.

    Args:
        trials: Trials left, running ones included; None if unbounded.
        trial_s: Mean duration of a trial; None before the first one runs, when one group starts.
        start_s: How long the start of a worker group takes.

    Returns:
        The number of groups, at least one; None for no limit.
    """
    if trial_s is None:
        return 1
    if trials is None:
        return None
    return 1 + int(trials * trial_s / (STARTS_WORTH * start_s))


def decide_scaling(
    pending: Mapping[Resources, PendingTrials],
    running: Mapping[Resources, int],
    failed: Mapping[Resources, int],
    nodes: Nodes,
    limit: int | None,
    *,
    worthwhile: Mapping[Resources, int | None] | None = None,
    memory_for: int | None = None,
) -> ScalingDecision:
    """Decide which worker groups to start: as many as fit, have trials waiting for them, and are worth it.

    Args:
        pending: Pending trials by resources.
        running: Number of worker groups by resources, including those that are starting.
        failed: Number of failed starts by resources since nodes last joined or left.
        nodes: Each node's resources by Ray's names.
        limit: Maximum number of worker groups; None for as many as fit.
        worthwhile: Number of worker groups that the work is worth, by resources; None for no limit.
        memory_for: Number of further groups that the driver's node has memory for; None for any number. A run
            without any worker group starts one in any case.
    """
    wanted = {
        resources: _least(
            None if trials.waiting is None else trials.waiting + trials.running,
            (worthwhile or {}).get(resources),
        )
        for resources, trials in pending.items()
        if trials.waiting != 0 and failed.get(resources, 0) < MAX_FAILED_STARTS
    }
    fitting = allocate(wanted, running, nodes, limit)
    start = {resources: groups for resources, groups in fitting.items() if groups > 0}
    is_idle = not any(running.values())
    is_stuck = not start and is_idle and any(trials.waiting != 0 for trials in pending.values())
    if memory_for is None:
        return ScalingDecision(start, is_stuck)
    within = _within(start, max(memory_for, 1 if is_idle else 0))
    return ScalingDecision(within, is_stuck, sum(start.values()) - sum(within.values()))


def _within(start: Mapping[Resources, int], most: int) -> dict[Resources, int]:
    """Return the first groups of a decision, at most so many."""
    within: dict[Resources, int] = {}
    for resources, groups in start.items():
        taken = min(groups, most - sum(within.values()))
        if taken > 0:
            within[resources] = taken
    return within


def _least(*numbers: int | None) -> int | None:
    known = [number for number in numbers if number is not None]
    return min(known) if known else None
