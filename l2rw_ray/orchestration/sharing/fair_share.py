"""Decide which waiting claim gets resources next, and which worker groups leave to make room.

Pure: all studies of a cluster see the same claims, and so come to the same decision without a coordinator.

A run's share is its dominant one: the largest fraction of any resource that it holds of the cluster, divided
by its priority. The run with the smallest share is served first. A worker group leaves for another run if its
own run then still has no smaller share than the other one. Where that leaves a run without any worker group,
because there is room for too few, runs take turns.

Source: Ghodsi et al. 2011, "Dominant resource fairness". Deviations: shares are weighed by priority, worker
groups that run are taken back between trials, and turns replace a share of nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from l2rw_ray.orchestration.sharing.claims import OTHER_JOBS, Claim, ClusterUse

_SLACK = 1e-9
"""Thirds of a GPU do not add up to one."""


@dataclass(frozen=True)
class Settlement:
    """How a waiting claim is settled.

    Attributes:
        claim: The claim.
        is_granted: Whether there is room for it, now or after worker groups have left.
        leaving: Worker groups that have to leave first; empty if there is room now.
        instead: Worker groups of which any may leave instead of the only one in `leaving`.
        is_turn: Whether they leave because runs take turns.
    """

    claim: Claim
    is_granted: bool
    leaving: tuple[Claim, ...] = ()
    instead: tuple[Claim, ...] = ()
    is_turn: bool = False


def settle(use: ClusterUse, waiting: Sequence[Claim]) -> list[Settlement]:
    """Return how claims are settled, in the order in which they are served.

    Args:
        use: How the cluster is used. Worker groups of studies can leave, other jobs stay.
        waiting: Claims to settle.
    """
    state, left, settled = _State.of(use, waiting), list(waiting), list[Settlement]()
    while left:
        claim = min(left, key=lambda each: (state.share(each.owner), each.since_s, each.owner))
        left.remove(claim)
        found = _settle_one(state, claim)
        settled.append(found)
        if not found.is_granted:  # nor are its likes: there will only be less room for them
            likes = [each for each in left if (each.owner, each.bundles) == (claim.owner, claim.bundles)]
            left = [each for each in left if each not in likes]
            settled += [Settlement(each, is_granted=False) for each in likes]
    return settled


def without(use: ClusterUse, claims: Sequence[Claim]) -> ClusterUse:
    """Return the use of a cluster as it is once some claims are over."""
    names = {name for resources in use.free.values() for name in resources}
    free = _Room.of(use.free, names).plus([claim for claim in claims if claim.is_held]).nodes
    return ClusterUse(use.total, free, [claim for claim in use.claims if claim not in claims])


def _settle_one(state: "_State", claim: Claim) -> Settlement:
    """Settle a claim, and count it and what leaves for it."""
    if state.place(claim):
        return Settlement(claim, is_granted=True)
    leaving = _donate(state, claim, at_least=state.share(claim.owner, claim))
    is_turn = leaving is None and not state.holds_anything(claim.owner)
    if is_turn:
        leaving = _donate(state, claim, at_least=0.0)
    if leaving is None:
        return Settlement(claim, is_granted=False)
    instead = _equally_good(state, claim, leaving)
    for group in leaving:
        state.release(group)
    state.place(claim)
    return Settlement(claim, True, tuple(leaving), instead, is_turn)


def _donate(state: "_State", claim: Claim, at_least: float) -> list[Claim] | None:
    """Return the fewest worker groups whose leaving makes room, those of the largest shares first.

    Args:
        state: The cluster.
        claim: What wants room.
        at_least: Share that a run must keep after giving up a group.

    Returns:
        The worker groups; None if there is no room even without all that may leave.
    """
    trial, leaving = state.copy(), list[Claim]()
    while trial.room.minus(claim) is None:
        donors = [group for group in trial.staying if group.owner != claim.owner]
        donors = [group for group in donors if trial.share(group.owner, without=group) >= at_least - _SLACK]
        if not donors:
            return None
        most = max(trial.share(group.owner) for group in donors)
        of_most = [group for group in donors if trial.share(group.owner) >= most - _SLACK]
        suited = (group for group in of_most if trial.room.plus([group]).minus(claim))
        leaving.append(next(suited, of_most[0]))
        trial.release(leaving[-1])
    for group in list(leaving):  # some may have been on nodes that do not help
        others = [each for each in leaving if each is not group]
        if state.room.plus(others).minus(claim):
            leaving = others
    return leaving


def _equally_good(state: "_State", claim: Claim, leaving: Sequence[Claim]) -> tuple[Claim, ...]:
    """Return the groups of the same run that could leave instead of a single one."""
    if len(leaving) != 1:
        return ()
    (only,) = leaving
    own = [group for group in state.staying if group.owner == only.owner and group.bundles == only.bundles]
    firsts = {group.nodes: group for group in own}
    suited = {nodes for nodes, group in firsts.items() if state.room.plus([group]).minus(claim)}
    return tuple(group for group in own if group.nodes in suited)


@dataclass
class _State:
    """A cluster as it becomes while claims are settled."""

    total: Mapping[str, float]
    room: "_Room"
    held: dict[str, dict[str, float]]
    priorities: dict[str, float]
    staying: list[Claim]

    @classmethod
    def of(cls, use: ClusterUse, waiting: Sequence[Claim]) -> "_State":
        held = [claim for claim in use.claims if claim.is_held]
        studies = [claim for claim in held if claim.owner != OTHER_JOBS]
        studies.sort(key=lambda claim: (claim.since_s, claim.claim_id))
        asked_for = {name for claim in (*use.claims, *waiting) for name in claim.resources}
        state = cls(use.total, _Room.of(use.free, asked_for), {}, {}, studies)
        for claim in held:
            state.count(claim)
        return state

    def copy(self) -> "_State":
        held = {owner: dict(resources) for owner, resources in self.held.items()}
        return _State(self.total, self.room, held, dict(self.priorities), list(self.staying))

    def holds_anything(self, owner: str) -> bool:
        return any(value > _SLACK for value in self.held.get(owner, {}).values())

    def share(self, owner: str, also: Claim | None = None, without: Claim | None = None) -> float:
        """Return a run's dominant share over its priority, with or without one more claim."""
        held = dict(self.held.get(owner, {}))
        _add(held, also.resources if also else {})
        _add(held, without.resources if without else {}, -1)
        fractions = [value / self.total[name] for name, value in held.items() if self.total.get(name)]
        priority = also.priority if also else self.priorities.get(owner, 1.0)
        return max(fractions, default=0.0) / priority

    def place(self, claim: Claim) -> bool:
        """Take what a claim wants. Returns False, and takes nothing, where there is no room."""
        room = self.room.minus(claim)
        if room is None:
            return False
        self.room = room
        self.count(claim)
        return True

    def count(self, claim: Claim) -> None:
        _add(self.held.setdefault(claim.owner, {}), claim.resources)
        self.priorities[claim.owner] = claim.priority

    def release(self, group: Claim) -> None:
        _add(self.held[group.owner], group.resources, -1)
        self.staying.remove(group)
        self.room = self.room.plus([group])


@dataclass(frozen=True)
class _Room:
    """Free resources of each node."""

    nodes: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, free: Mapping[str, Mapping[str, float]], names: Collection[str]) -> "_Room":
        return cls({node: {name: amounts.get(name, 0.0) for name in names} for node, amounts in free.items()})

    def plus(self, groups: Sequence[Claim]) -> "_Room":
        """Return the room that there is without these groups."""
        changed: dict[str, dict[str, float]] = {}
        for group in groups:
            for node, bundle in zip(group.nodes, group.bundles, strict=True):
                if node in self.nodes:  # others have just died
                    _add(changed.setdefault(node, dict(self.nodes[node])), bundle)
        return _Room({**self.nodes, **changed})

    def minus(self, claim: Claim) -> "_Room | None":
        """Return the room that a claim leaves to others; None where there is none for it."""
        changed: dict[str, dict[str, float]] = {}
        bundles = [claim.resources] if claim.strategy == "STRICT_PACK" else claim.bundles
        excluded = changed if claim.strategy == "STRICT_SPREAD" else ()
        for bundle in bundles:
            for node, free in self.nodes.items():
                if node not in excluded and _holds(changed.get(node, free), bundle):
                    _add(changed.setdefault(node, dict(free)), bundle, -1)
                    break
            else:
                return None
        return _Room({**self.nodes, **changed})


def _add(amounts: dict[str, float], more: Mapping[str, float], sign: int = 1) -> None:
    for name, value in more.items():
        amounts[name] = amounts.get(name, 0.0) + sign * value


def _holds(free: Mapping[str, float], bundle: Mapping[str, float]) -> bool:
    return all(free.get(name, 0.0) + _SLACK >= value for name, value in bundle.items())
