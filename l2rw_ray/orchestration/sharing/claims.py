"""What studies and other jobs hold of a cluster, or wait for: its placement groups.

Ray lists the placement groups of all jobs, so that their names are all that studies need to know of each
other: each worker group's says which run it belongs to and with which priority.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray._private.state import available_resources_per_node
from ray.util import placement_group_table

from l2rw_ray.config import Resources

OTHER_JOBS = "other jobs"
"""Owner of all placement groups that belong to no study."""
Bundles = tuple[Mapping[str, float], ...]
"""Resources of each worker of a group, by Ray's names."""
_PREFIX, _SEPARATOR = "l2rw-ray", "|"
_WAITING = ("PENDING", "RESCHEDULING")
_HELD = ("PREPARED", "CREATED")


@dataclass(frozen=True)
class Claim:
    """Resources that a worker group, or a placement group of another job, holds or waits for.

    Attributes:
        owner: The run of a study; `OTHER_JOBS` for all others.
        bundles: Resources of each worker, by Ray's names.
        nodes: Node of each worker, by Ray's identifiers; empty while it waits.
        study: Name of the study; empty for other jobs.
        priority: Weight of the study against others.
        since_s: Since when the run has waited for a worker group, in seconds since the epoch; 0 if unknown.
        group: Name of the worker group within its run.
        claim_id: Ray's identifier of the placement group; empty before it is requested.
        strategy: Ray's name of how bundles are spread over nodes.
    """

    owner: str
    bundles: Bundles
    nodes: tuple[str, ...] = ()
    study: str = ""
    priority: float = 1.0
    since_s: float = 0.0
    group: str = ""
    claim_id: str = ""
    strategy: str = "PACK"

    @property
    def is_held(self) -> bool:
        """Whether the cluster has set the resources aside."""
        return bool(self.nodes)

    @property
    def resources(self) -> dict[str, float]:
        """Resources of all workers together."""
        total: dict[str, float] = {}
        for bundle in self.bundles:
            for name, value in bundle.items():
                total[name] = total.get(name, 0.0) + value
        return total


@dataclass(frozen=True)
class ClusterUse:
    """How a cluster is used at a moment.

    Attributes:
        total: Resources of all nodes together, by Ray's names.
        free: Resources that nobody holds, by node.
        claims: Claims of all jobs, of those of this run as well.
    """

    total: Mapping[str, float]
    free: Mapping[str, Mapping[str, float]]
    claims: Sequence[Claim]


def bundles_of(resources: Resources) -> Bundles:
    """Return what each worker of a group takes, by Ray's names."""
    bundle = {"CPU": float(resources.cpus_per_worker)}
    if resources.gpus_per_worker:
        bundle["GPU"] = float(resources.gpus_per_worker)
    return (bundle,) * resources.workers


def claim_name(claim: Claim) -> str:
    """Return the name of a worker group's placement group, from which others read the claim."""
    fields = (claim.study, claim.owner, f"{claim.priority:g}", f"{claim.since_s:.3f}", claim.group)
    return _SEPARATOR.join((_PREFIX, *fields))


def read_claim(entry: Mapping[str, Any]) -> Claim | None:
    """Return the claim of an entry of Ray's table of placement groups; None for one that is over."""
    if entry["state"] not in _WAITING + _HELD:
        return None
    bundles, nodes = entry["bundles"], entry["bundles_to_node_id"]
    return replace(
        _named(entry["name"]),
        bundles=tuple(bundles.values()),
        nodes=tuple(nodes[index] for index in bundles) if entry["state"] in _HELD else (),
        claim_id=entry["placement_group_id"],
        strategy=entry["strategy"],
    )


def cluster_use() -> ClusterUse:
    """Return how the connected cluster is used."""
    found = [read_claim(entry) for entry in placement_group_table().values()]
    claims = [claim for claim in found if claim is not None]
    return ClusterUse(ray.cluster_resources(), available_resources_per_node(), claims)


def _named(name: str) -> Claim:
    """Return what the name of a placement group says; those of other jobs say nothing."""
    other = Claim(OTHER_JOBS, ())
    try:
        prefix, study, owner, priority_text, since_text, group = name.split(_SEPARATOR)
        priority, since_s = float(priority_text), float(since_text)
    except ValueError:
        return other
    if prefix != _PREFIX or not priority > 0:
        return other
    return Claim(owner, (), study=study, priority=priority, since_s=since_s, group=group)
