"""Simulated nodes that can be switched off."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from ray.cluster_utils import Cluster

from tests.faults.processes import kill, titled

Node = Any
"""Ray's own handle of one; it has no type that is public."""


@contextmanager
def two_nodes() -> Iterator[tuple[Cluster, list[Node]]]:
    """A cluster of two nodes with a core each, beside a head with none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # runs inherit it
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        try:
            yield cluster, [add_worker_node(cluster) for _ in range(2)]
        finally:
            cluster.shutdown()


def add_worker_node(cluster: Cluster) -> Node:
    """Let a node with one core join."""
    return cluster.add_node(num_cpus=1)


def without_driver(nodes: Sequence[Node], processes: Iterable[psutil.Process]) -> list[Node]:
    """Those that a run's driver is not connected to: without its own node a driver is lost itself.

    Args:
        nodes: All of one machine, where a driver takes any for its own.
        processes: What of the run there is; its broker is beside the driver.
    """
    drivers = {broker.ppid() for broker in titled("ray::Broker", processes)}
    return [node for node in nodes if _raylet(node).pid not in drivers]


def lose(cluster: Cluster, node: Node) -> None:
    """Kill all processes of a node at once, as when its machine is switched off."""
    raylet = _raylet(node)
    kill([raylet, *raylet.children(recursive=True)])
    cluster.remove_node(node, allow_graceful=False)


def _raylet(node: Node) -> psutil.Process:
    return psutil.Process(node.all_processes["raylet"][0].process.pid)
