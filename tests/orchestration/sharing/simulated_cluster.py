"""A cluster whose clock is turned by hand, and runs that share it as worker groups' pools do."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.sharing.claims import OTHER_JOBS, Claim, ClusterUse, read_claim
from l2rw_ray.orchestration.sharing.cluster_sharing import ClusterSharing, SharingDecision

START_S = 4
"""How long the processes of a worker group take to come up."""
_REMOVED_AFTER_S = 2


@dataclass
class Cluster:
    """One node.

    Attributes:
        cpus: Its cores.
        order: Key by which requests that wait are placed: Ray promises none.
    """

    cpus: float
    order: Callable[[Claim], object] = lambda claim: claim.claim_id
    now: float = 0.0
    claims: dict[str, Claim] = field(default_factory=dict)
    _ids: count = field(default_factory=count)
    _removed: dict[str, float] = field(default_factory=dict)

    def use(self) -> ClusterUse:
        """How it is used."""
        return ClusterUse({"CPU": self.cpus}, {"a": {"CPU": self.free}}, list(self.claims.values()))

    @property
    def free(self) -> float:
        return self.cpus - sum(each.resources["CPU"] for each in self.claims.values() if each.is_held)

    def request(self, claim: Claim) -> str:
        """Request a placement group."""
        claim_id = f"{next(self._ids):04}"
        self.claims[claim_id] = replace(claim, claim_id=claim_id)
        return claim_id

    def remove(self, claim_id: str) -> None:
        """Remove a placement group, which others see for a moment longer."""
        self._removed[claim_id] = self.now + _REMOVED_AFTER_S

    def place(self) -> None:
        """Remove what has been removed for long enough, then place what there is room for."""
        for claim_id in [each for each, at in self._removed.items() if at <= self.now]:
            del self._removed[claim_id], self.claims[claim_id]
        waiting = [each for each in self.claims.values() if not each.is_held]
        for claim in sorted(waiting, key=self.order):
            if claim.resources["CPU"] <= self.free:
                self.claims[claim.claim_id] = replace(claim, nodes=("a",))


@dataclass
class Run:
    """A study with endless trials of the same duration.

    Attributes:
        first_trial_at: When its first trial started.
        trained_s: Time that its groups have trained, all together.
        most: Largest number of groups that it had at once.
    """

    cluster: Cluster
    name: str
    trial_s: int
    groups: int = 1
    priority: float = 1.0
    cpus: int = 1
    first_trial_at: float | None = None
    trained_s: int = 0
    most: int = 0
    lines: list[str] = field(default_factory=list)
    _ages: dict[str, int] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)
    _numbers: count = field(default_factory=count)

    def __post_init__(self) -> None:
        clock = lambda: self.cluster.now  # noqa: E731
        self.sharing = ClusterSharing(self.name, self.priority, self.cluster.use, clock, clock)
        self._kind = Resources(cpus_per_worker=self.cpus)

    @property
    def held(self) -> list[str]:
        return [group for group, claim_id in self._ids.items() if self.cluster.claims[claim_id].is_held]

    def second(self) -> None:
        """Live for a second."""
        wanted = {self._kind: number} if (number := self.groups - len(self._ids)) else {}
        training = [group for group in self.held if self._ages.get(group, 0) >= START_S]
        decision = self.sharing.decide(wanted, set(self._ids), is_training=bool(training))
        self.lines += [line for line in decision.lines if line not in self.lines]
        for group in decision.withdraw:
            self._end(group)
        for _ in range(decision.start.get(self._kind, 0)):
            self._request()
        self._train(decision)

    def _request(self) -> None:
        group = f"group{next(self._numbers)}"
        named = read_claim(
            {
                "name": self.sharing.placement_name(group),
                "bundles": {0: {"CPU": float(self.cpus)}},
                "bundles_to_node_id": {},
                "strategy": "PACK",
                "state": "PENDING",
                "placement_group_id": "",
            }
        )
        assert named is not None
        self._ids[group] = self.cluster.request(named)

    def _train(self, decision: SharingDecision) -> None:
        left, held = 0, self.held
        self.most = max(self.most, len(held))
        for group in held:
            self._ages[group] = age = self._ages.get(group, 0) + 1
            if age == START_S and self.first_trial_at is None:
                self.first_trial_at = self.cluster.now
            self.trained_s += age >= START_S
            between_trials = age >= START_S and (age - START_S) % self.trial_s == 0
            if between_trials and group in decision.leave and left < decision.leaving:
                self._end(group)
                left += 1

    def _end(self, group: str) -> None:
        self.cluster.remove(self._ids.pop(group))
        self._ages.pop(group, None)


def live(cluster: Cluster, runs: list[Run], seconds: int, arrive_every_s: int = 0) -> None:
    """Let runs share a cluster, each arriving some time after the one before."""
    for second in range(seconds):
        for number, run in enumerate(runs):
            if second >= number * arrive_every_s:
                run.second()
        cluster.place()
        cluster.now += 1


def holdings(runs: list[Run]) -> Counter[str]:
    """Number of worker groups of each run."""
    return Counter({run.name: len(run.held) for run in runs})


def job(cpus: float, name: str = "") -> Claim:
    """A request of another job."""
    return Claim(OTHER_JOBS, ({"CPU": cpus},), group=name)
