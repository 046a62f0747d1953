"""Which nodes a cluster has, and which it has lost since the last look."""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from l2rw_ray.orchestration.cluster.autoscaling import growth_groups, nodes_to_come
from l2rw_ray.planning.placement import Nodes

_REMEMBERED_S = 60.0
"""How long after the loss of a trial the loss of its node explains it."""


@dataclass(frozen=True)
class Node:
    """A living node.

    Attributes:
        node_id: Ray's identifier.
        name: Its address, by which users know it.
        resources: Its resources by Ray's names.
    """

    node_id: str
    name: str
    resources: Mapping[str, float]


@dataclass(frozen=True)
class NodeChanges:
    """Nodes that have joined or were lost between two looks."""

    joined: Sequence[Node]
    lost: Sequence[Node]

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self.joined or self.lost)


def alive_nodes() -> list[Node]:
    """Return the living nodes of the connected cluster."""
    import ray

    return [
        Node(node["NodeID"], node["NodeManagerAddress"], node["Resources"])
        for node in ray.nodes()
        if node["Alive"]
    ]


class Membership:
    """The nodes of a cluster, and the trials that it has lost with them.

    Args:
        look: Returns the living nodes.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self, look: Callable[[], Sequence[Node]] = alive_nodes, clock: Callable[[], float] = monotonic
    ) -> None:
        self._look, self._clock = look, clock
        self._alive = {node.node_id: node for node in look()}
        self._losses: deque[tuple[float, Collection[str]]] = deque()

    def update(self) -> NodeChanges:
        """Look at the cluster. Returns what has changed since the last look."""
        before, self._alive = self._alive, {node.node_id: node for node in self._look()}
        return NodeChanges(
            joined=[node for node_id, node in self._alive.items() if node_id not in before],
            lost=[node for node_id, node in before.items() if node_id not in self._alive],
        )

    @property
    def nodes(self) -> Nodes:
        """Resources of the living nodes and of those that the cluster may still add."""
        return [*(node.resources for node in self._alive.values()), *self.to_come]

    @property
    def to_come(self) -> Nodes:
        """Resources of the nodes that the cluster may still add."""
        return nodes_to_come(growth_groups(), [node.resources for node in self._alive.values()])

    @property
    def is_one_node(self) -> bool:
        """Whether all workers run on the driver's node."""
        return len(self._alive) == 1

    def note_loss(self, node_ids: Collection[str]) -> None:
        """Record that a trial was lost on these nodes."""
        self._losses.append((self._clock(), node_ids))

    def take_losses(self, node_id: str) -> int:
        """Return how many trials were lost on a node lately; each counts once."""
        since = self._clock() - _REMEMBERED_S
        recent = [loss for loss in self._losses if loss[0] >= since]
        self._losses = deque(loss for loss in recent if node_id not in loss[1])
        return len(recent) - len(self._losses)
