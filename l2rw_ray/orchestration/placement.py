"""What fits on a cluster: whole worker groups in the slots of its nodes."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from l2rw_ray.config import Resources
from l2rw_ray.errors import ConfigError

Nodes = Sequence[Mapping[str, float]]
"""Each node's resources by Ray's names."""


def nodes_of(address: str | None) -> Nodes:
    """The nodes of a running cluster; without an address, this machine.

    Raises:
        InfrastructureError: The cluster cannot be reached.
    """
    if address is None:
        return this_machine()
    from l2rw_ray.orchestration.cluster import ray_cluster

    with ray_cluster(address) as nodes:
        return nodes


def this_machine() -> Nodes:
    """This machine as the only node, as far as it can be told without starting anything."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = len(list(Path("/dev").glob("nvidia[0-9]*")))
    named = [name for name in (visible or "").split(",") if name and not name.startswith("-")]
    gpus = present if visible is None else min(present, len(named))
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [{"CPU": float(own), "GPU": float(gpus)}]


def lane_count(resources: Resources, nodes: Nodes, trials: int | None, limit: int | None) -> int:
    """How many lanes fit: whole worker groups in the nodes' slots, at most one per trial.

    A group may spread over nodes, a worker may not.

    Args:
        resources: What each worker takes.
        nodes: Each node's resources by Ray's names.
        trials: Trials left to run; None where their number is not known.
        limit: The user's own limit, if any.

    Returns:
        The number of lanes.

    Raises:
        ConfigError: Not even one group fits.
    """
    slots = sum(_slots(resources, node) for node in nodes)
    if slots < resources.workers:
        raise _does_not_fit(resources, nodes)
    return min(number for number in (slots // resources.workers, trials, limit) if number is not None)


def _slots(resources: Resources, node: Mapping[str, float]) -> int:
    """Workers that one node can hold."""
    slots = node.get("CPU", 0.0) / resources.cpus_per_worker
    if resources.gpus_per_worker:
        slots = min(slots, node.get("GPU", 0.0) / resources.gpus_per_worker)
    return int(slots)


def _does_not_fit(resources: Resources, nodes: Nodes) -> ConfigError:
    """The complaint about what is scarce: a node's cores or GPUs for one worker, or nodes for a group."""
    for field, name in (("cpus_per_worker", "CPU"), ("gpus_per_worker", "GPU")):
        wanted = getattr(resources, field)
        most = max((node.get(name, 0.0) for node in nodes), default=0.0)
        if wanted > most:
            problem = f"the largest node of the cluster has {most:g} {name}s"
            return ConfigError(f"resources.{field}", wanted, problem, f"use at most {most:g}, or --address")
    slots = sum(_slots(resources, node) for node in nodes)
    return ConfigError(
        "resources.workers",
        resources.workers,
        f"the cluster has room for {slots} workers of this size",
        f"use at most {slots}, or give --address of a larger cluster",
    )
