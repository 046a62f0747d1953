"""Simulated nodes that can be switched off."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import psutil
import pytest
from ray.cluster_utils import Cluster

from tests.faults.processes import kill

Node = Any
"""Ray's own handle of one; it has no type that is public."""
_ADDRESSES = count(2)
_NOTICED = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 5000,
    "health_check_failure_threshold": 3,
}
"""A node that is gone is missed after three seconds, before a short run is over, instead of some twenty."""


@contextmanager
def two_nodes(*, dashboard: bool = False, one_address: bool = False) -> Iterator[tuple[Cluster, list[Node]]]:
    """A cluster of two nodes with a core each, beside a head with none.

    Args:
        dashboard: Whether it has one: without, what Ray starts to clean up after a killed driver stays.
        one_address: Whether all nodes, the head included, share one.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # runs inherit it
        head = {"num_cpus": 0, "include_dashboard": dashboard, "_system_config": _NOTICED}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            yield cluster, [add_worker_node(cluster, own_address=not one_address) for _ in range(2)]
        finally:
            cluster.shutdown()


def add_worker_node(cluster: Cluster, *, own_address: bool = True) -> Node:
    """Let a node with one core join, by default under an address of its own."""
    address = {"node_ip_address": f"127.0.0.{next(_ADDRESSES)}"} if own_address else {}
    return cluster.add_node(num_cpus=1, **address)


def lose(cluster: Cluster, node: Node) -> None:
    """Kill all processes of a node at once, as when its machine is switched off."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    kill([raylet, *raylet.children(recursive=True)])
    cluster.remove_node(node, allow_graceful=False)
