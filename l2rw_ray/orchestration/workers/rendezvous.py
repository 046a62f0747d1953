"""The ranks of a worker group, and the variables by which they find each other: those that torchrun sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TORCHRUN_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class WorkerPlace:
    """Where a worker runs.

    Attributes:
        node_id: Ray's identifier of its node, which tells two nodes on one address apart.
        address: Network address of its node.
        port: A free port of its node.
        gpus: GPUs that it was given, by Ray's identifiers.
    """

    node_id: str
    address: str
    port: int
    gpus: tuple[str, ...] = ()


def rank_order(places: Sequence[WorkerPlace]) -> list[int]:
    """Return the indices of workers in the order of their ranks: node by node, and there by GPU.

    Neighbours in a ring all-reduce are then on the same node wherever they can be.
    """
    nodes = [place.node_id for place in places]
    return sorted(range(len(places)), key=lambda i: (nodes.index(nodes[i]), _gpu_key(places[i].gpus), i))


def torchrun_variables(places: Sequence[WorkerPlace]) -> list[Mapping[str, str]]:
    """Return the environment variables of each rank; a single worker needs none.

    A worker sees only the GPUs that Ray gave it, so that its first one is always number 0, and each worker
    counts as the only one of its node.

    Args:
        places: Places of the workers, in the order of their ranks.
    """
    if len(places) == 1:
        return [{}]
    shared = {
        "MASTER_ADDR": places[0].address,
        "MASTER_PORT": str(places[0].port),
        "WORLD_SIZE": str(len(places)),
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
    }
    return [shared | {"RANK": str(rank)} for rank in range(len(places))]


def _gpu_key(gpus: Sequence[str]) -> tuple[int, str]:
    """Return a key that sorts GPU 10 after GPU 9, and identifiers such as those of MIG slices by name."""
    first = gpus[0] if gpus else ""
    return (int(first), "") if first.isdigit() else (-1, first)
