"""Nodes that are not there yet: what a cluster that grows on demand may still bring up.

Ray's open-source autoscaler tells nobody what it may launch, so whoever describes the cluster says it in
an environment variable of the head, as cluster.yaml does.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from l2rw_ray.errors import InputError

GROWTH_VARIABLE = "L2RW_RAY_GROWS_TO"
_HEAD = "node:__internal_head__"
"""What Ray counts of a head alone."""
START_TIMEOUT_S = 900
"""How long a worker group waits for its nodes; a GPU machine takes minutes to start."""


class NodeGroup(BaseModel):
    """Nodes of one kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: Annotated[int, Field(ge=0)]
    """How many there are at most."""
    CPU: Annotated[float, Field(ge=0)]
    """Cores of each."""
    GPU: Annotated[float, Field(ge=0)] = 0.0
    """GPUs of each."""

    def is_one(self, node: Mapping[str, float]) -> bool:
        """Whether a node that is there is of this kind."""
        return node.get("CPU", 0.0) == self.CPU and node.get("GPU", 0.0) == self.GPU


_GROUPS = TypeAdapter(tuple[NodeGroup, ...])


def growth_groups() -> tuple[NodeGroup, ...]:
    """What the cluster may grow to, as the environment says; nothing where it does not.

    Raises:
        InputError: The variable cannot be read.
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


def nodes_to_come(
    groups: Sequence[NodeGroup], alive: Sequence[Mapping[str, float]]
) -> list[dict[str, float]]:
    """Resources of the nodes that the cluster may still bring up.

    Args:
        groups: What it may grow to.
        alive: Resources of the nodes that are there, by Ray's names; the head is in no group.
    """
    workers, remaining = [node for node in alive if _HEAD not in node], []
    for group in groups:
        own = [node for node in workers if group.is_one(node)][: group.nodes]
        for node in own:
            workers.remove(node)  # it is of one group only, though another may look the same
        remaining += [{"CPU": group.CPU, "GPU": group.GPU}] * (group.nodes - len(own))
    return remaining
