"""Place worker groups on the nodes of a cluster."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from l2rw_ray.config import Resources
from l2rw_ray.errors import ConfigError

Nodes = Sequence[Mapping[str, float]]
"""Each node's resources by Ray's names."""


def this_machine() -> Nodes:
    """Return this machine as the only node, without starting anything."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = len(list(Path("/dev").glob("nvidia[0-9]*")))
    named = [name for name in (visible or "").split(",") if name and not name.startswith("-")]
    gpus = present if visible is None else min(present, len(named))
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [{"CPU": float(own), "GPU": float(gpus)}]


def group_count(resources: Resources, nodes: Nodes, trials: int | None, limit: int | None) -> int:
    """Return how many worker groups with these resources fit on the nodes, at most one per trial.

    Args:
        resources: What each worker takes.
        nodes: Each node's resources by Ray's names.
        trials: Trials left to run; None where their number is not known.
        limit: The user's own limit, if any.

    Returns:
        The number of worker groups, at least one.

    Raises:
        ConfigError: Not even one group fits.
    """
    groups = allocate({resources: trials}, {}, nodes, limit)[resources]
    if not groups:
        raise _does_not_fit(resources, nodes)
    return groups


def allocate(
    left: Mapping[Resources, int | None],
    running: Mapping[Resources, int],
    nodes: Nodes,
    limit: int | None = None,
) -> dict[Resources, int]:
    """Return how many worker groups to start for each kind of resources on a shared cluster.

    Kinds take turns, the hardest to place first, so that none waits for another that it shares nothing with;
    slots that one kind leaves free go to the others. A group may span nodes, a worker may not.

    Args:
        left: Trials of each kind, running ones included; None where their number is not known.
        running: Running worker groups of each kind.
        nodes: Each node's resources by Ray's names.
        limit: Upper limit of worker groups, running ones included.

    Returns:
        Worker groups to start, by kind; a kind never has more groups in total than trials.
    """
    room, kinds = _FreeSlots(nodes), sorted(left, key=_demand, reverse=True)
    for kind in sorted(running, key=_demand, reverse=True):
        for _ in range(running[kind]):
            room.take(kind)
    groups = {kind: running.get(kind, 0) for kind in kinds}
    open_kinds, others = list(kinds), sum(number for kind, number in running.items() if kind not in groups)
    while open_kinds:
        for kind in list(open_kinds):
            trials, is_full = left[kind], limit is not None and others + sum(groups.values()) >= limit
            if is_full or (trials is not None and groups[kind] >= trials) or not room.take(kind):
                open_kinds.remove(kind)
            else:
                groups[kind] += 1
    return {kind: groups[kind] - running.get(kind, 0) for kind in kinds}


def sequential_rounds(trials: Mapping[Resources, int], nodes: Nodes) -> int:
    """Return how many rounds it takes to run all trials if all take equally long.

    Args:
        trials: Number of trials of each kind; each kind fits.
        nodes: Each node's resources by Ray's names.
    """
    left, number = Counter(trials), 0
    while +left:
        left -= Counter(allocate(left, {}, nodes))
        number += 1
    return number


class _FreeSlots:
    """Free slots of each node."""

    def __init__(self, nodes: Nodes) -> None:
        self._free = [(node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in nodes]

    def take(self, kind: Resources) -> bool:
        """Take the slots of a worker group. Returns False, and takes nothing, where it does not fit."""
        free = list(self._free)
        for _ in range(kind.workers):
            place = next((place for place, node in enumerate(free) if _holds(node, kind)), None)
            if place is None:
                return False
            cpus, gpus = free[place]
            free[place] = cpus - kind.cpus_per_worker, gpus - kind.gpus_per_worker
        self._free = free
        return True


def _holds(node: tuple[float, float], kind: Resources) -> bool:
    slack = 1e-9  # thirds of a GPU do not add up to one
    return node[0] + slack >= kind.cpus_per_worker and node[1] + slack >= kind.gpus_per_worker


def _demand(kind: Resources) -> tuple[float, int, int]:
    """Return the demand of a kind, by which the hardest to place comes first."""
    return kind.workers * kind.gpus_per_worker, kind.workers * kind.cpus_per_worker, kind.workers


def _does_not_fit(resources: Resources, nodes: Nodes) -> ConfigError:
    """Return the error about what is scarce: a node's cores or GPUs for one worker, or nodes for a group."""
    for field, name in (("cpus_per_worker", "CPU"), ("gpus_per_worker", "GPU")):
        wanted = getattr(resources, field)
        most = max((node.get(name, 0.0) for node in nodes), default=0.0)
        if wanted > most:
            problem = f"the largest node of the cluster has {most:g} {name}s"
            return ConfigError(f"resources.{field}", wanted, problem, f"use at most {most:g}, or --address")
    worker = resources.model_copy(update={"workers": 1})
    slots = allocate({worker: None}, {}, nodes)[worker]
    if not slots:
        cpus, gpus = resources.cpus_per_worker, resources.gpus_per_worker
        return ConfigError(
            "resources.cpus_per_worker",
            cpus,
            f"no node of the cluster has {cpus} CPUs and {gpus:g} GPUs",
            "use fewer of one of the two, or give --address of a cluster that has such a node",
        )
    return ConfigError(
        "resources.workers",
        resources.workers,
        f"the cluster has room for {slots} workers of this size",
        f"use at most {slots}, or give --address of a larger cluster",
    )
