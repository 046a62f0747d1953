"""Nodes that an autoscaling cluster may still add.

Ray's open-source autoscaler does not publish which nodes it may launch, so the cluster's configuration lists
them in an environment variable of the head, as cluster.yaml does.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from l2rw_ray.errors import InputError

GROWTH_VARIABLE = "L2RW_RAY_GROWS_TO"
_HEAD = "node:__internal_head__"
"""Resource that only the head node has."""
_GROWTH_PATIENCE_S = 900.0
"""How long a run without any worker group waits for new nodes; a GPU machine takes minutes to start."""
_PATIENCE_S = 60.0
"""The same where nobody is known to add nodes, other than in place of lost ones."""


class NodeGroup(BaseModel):
    """Nodes with the same resources."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: Annotated[int, Field(ge=0)]
    """Maximum number of nodes."""
    CPU: Annotated[float, Field(ge=0)]
    """CPU cores of each node."""
    GPU: Annotated[float, Field(ge=0)] = 0.0
    """GPUs of each node."""

    def matches(self, node: Mapping[str, float]) -> bool:
        """Return whether a node has the resources of this group."""
        return node.get("CPU", 0.0) == self.CPU and node.get("GPU", 0.0) == self.GPU


_GROUPS = TypeAdapter(tuple[NodeGroup, ...])


def growth_groups() -> tuple[NodeGroup, ...]:
    """Return the node groups that the cluster may grow to, from the environment; empty if it lists none.

    Raises:
        InputError: The variable cannot be parsed.
    """
    text = os.environ.get(GROWTH_VARIABLE)
    if not text:
        return ()
    try:
        return _GROUPS.validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        remedy = 'write it as [{"nodes": 4, "CPU": 8, "GPU": 1}]'
        raise InputError(GROWTH_VARIABLE, text, problem, remedy) from error


def start_patience_s() -> float:
    """Return how long a run without any worker group waits for nodes, in seconds."""
    return _GROWTH_PATIENCE_S if growth_groups() else _PATIENCE_S


def nodes_to_come(
    groups: Sequence[NodeGroup], alive: Sequence[Mapping[str, float]]
) -> list[dict[str, float]]:
    """Return the resources of the nodes that the cluster may still add.

    Args:
        groups: Node groups that it may grow to.
        alive: Resources of the living nodes, by Ray's names; the head belongs to no group.
    """
    workers, remaining = [node for node in alive if _HEAD not in node], []
    for group in groups:
        members = [node for node in workers if group.matches(node)][: group.nodes]
        for node in members:
            workers.remove(node)  # a node counts for one group, even if another has the same resources
        remaining += [{"CPU": group.CPU, "GPU": group.GPU}] * (group.nodes - len(members))
    return remaining
