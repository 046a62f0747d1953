"""The nodes of a Ray cluster, and of this machine."""

from l2rw_ray.planning.placement import Nodes, this_machine


def nodes_of(address: str | None) -> Nodes:
    """Return the nodes of a running cluster; without an address, this machine.

    Raises:
        InfrastructureError: The cluster cannot be reached.
    """
    if address is None:
        return this_machine()
    from l2rw_ray.orchestration.cluster.ray_cluster import ray_cluster

    with ray_cluster(address) as nodes:
        return nodes
