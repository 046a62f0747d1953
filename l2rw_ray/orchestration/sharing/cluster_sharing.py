"""Decide which worker groups a run requests and releases on a cluster that it shares."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic, time
from uuid import uuid4

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.sharing.claims import (
    OTHER_JOBS,
    Bundles,
    Claim,
    ClusterUse,
    bundles_of,
    claim_name,
    cluster_use,
)
from l2rw_ray.orchestration.sharing.fair_share import Settlement, settle, without
from l2rw_ray.orchestration.sharing.messages import leaving_line, waiting_line
from l2rw_ray.orchestration.sharing.turns import TurnClock
from l2rw_ray.planning.placement import Nodes

_SETTLED_S = 2.0
"""How long a claim has to wait before anything is done about it: Ray may be about to place it."""
_GROWTH_S = 300.0
"""The same where the cluster may add nodes instead."""
_SAY_WAITING_S = 5.0
"""How long a run may have no worker group before it says what it waits for."""
_LOOK_EVERY_S = 1.0
"""How often the pool asks for a decision."""
_PAUSES_PER_LOOK = 10
"""Pause relative to the duration of the last look: a cluster may have a long table of placement groups."""


@dataclass(frozen=True)
class SharingDecision:
    """What a run does in view of the others.

    Attributes:
        start: Number of worker groups to ask for, by resources.
        withdraw: Names of worker groups whose requests are withdrawn.
        waiting: Names of worker groups that the cluster has no room for yet.
        leave: Names of worker groups that may leave, because others wait.
        leaving: How many of them leave after their trial, including those that have been told to.
        lines: What the user may want to know.
    """

    start: Mapping[Resources, int]
    withdraw: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    leave: frozenset[str] = frozenset()
    leaving: int = 0
    lines: tuple[str, ...] = ()


class ClusterSharing:
    """Keeps one run within its share of a cluster while others wait.

    Args:
        study: Name of the run's study.
        priority: Its weight against others.
        look: Returns how the cluster is used.
        clock: Monotonic time in seconds.
        wall_clock: Time in seconds since the epoch, which runs compare.
    """

    def __init__(
        self,
        study: str,
        priority: float,
        look: Callable[[], ClusterUse] = cluster_use,
        clock: Callable[[], float] = monotonic,
        wall_clock: Callable[[], float] = time,
    ) -> None:
        self._study, self._priority = study, priority
        self._look, self._clock, self._wall_clock = look, clock, wall_clock
        self._run, self._turn = uuid4().hex[:12], TurnClock(priority)
        self._waiting_since: tuple[float, float] | None = None
        self._seen: dict[str, tuple[float, float]] = {}
        self._next_look, self._last = 0.0, SharingDecision({})

    def placement_name(self, group: str) -> str:
        """Return the name of a worker group's placement group."""
        return claim_name(self._wish((), group))

    def decide(
        self,
        wanted: Mapping[Resources, int],
        groups: Collection[str],
        *,
        is_training: bool,
        to_come: Nodes = (),
    ) -> SharingDecision:
        """Decide which worker groups to ask for, which requests to withdraw, and how many groups leave.

        Args:
            wanted: Number of further worker groups that the run has work for, by resources.
            groups: Names of the run's worker groups, including those that are starting.
            is_training: Whether a trial of the run is under way.
            to_come: Resources of nodes that the cluster may still add.
        """
        began = self._clock()
        if began < self._next_look:
            return self._last_without(self._last.leave - set(groups))
        self._last = self._decide(self._noted(groups, began), began, wanted, to_come, is_training=is_training)
        took_s = self._clock() - began
        self._next_look = began + max(_PAUSES_PER_LOOK * took_s - _LOOK_EVERY_S, 0.0)
        return self._last

    def _last_without(self, ended: Collection[str]) -> SharingDecision:
        """Return the last decision where some groups that might leave have ended since."""
        leave, leaving = self._last.leave.difference(ended), max(self._last.leaving - len(ended), 0)
        return SharingDecision({}, waiting=self._last.waiting, leave=leave, leaving=leaving)

    def _decide(
        self,
        use: ClusterUse,
        now: float,
        wanted: Mapping[Resources, int],
        to_come: Nodes,
        *,
        is_training: bool,
    ) -> SharingDecision:
        own = [claim for claim in use.claims if claim.owner == self._run]
        others = [claim for claim in use.claims if claim.owner != self._run]
        pending, has_any = [claim for claim in own if not claim.is_held], any(claim.is_held for claim in own)
        self._turn.update(now, is_training=is_training, holds_any=has_any)
        unmet = [*(claim.bundles for claim in pending), *map(bundles_of, wanted)]
        lines = self._note_waiting(use, now, [] if has_any else unmet, others)
        waiting = frozenset(claim.group for claim in pending)
        if not others:
            return SharingDecision(wanted, waiting=waiting, lines=lines)
        wishes = {kind: self._wishes(kind, number) for kind, number in wanted.items()}
        asked = self._asked(use, [claim for some in wishes.values() for claim in some], to_come)
        leave, leaving, told = self._leaving(use, now, grows=bool(to_come))
        return SharingDecision(
            {kind: sum(claim.group in asked for claim in some) for kind, some in wishes.items()},
            frozenset(
                each.group for each in self._waited(pending, now, _SETTLED_S) if each.group not in asked
            ),
            waiting,
            leave,
            leaving,
            lines + told,
        )

    def _noted(self, groups: Collection[str], now: float) -> ClusterUse:
        """Look at the cluster and note which claims wait; those of other jobs do since first seen."""
        use = self._look()
        ended = [claim for claim in use.claims if claim.owner == self._run and claim.group not in groups]
        use = without(use, ended)  # Ray takes a moment to remove them
        waiting = [claim for claim in use.claims if not claim.is_held]
        at = (now, self._wall_clock())
        self._seen = {claim.claim_id: self._seen.get(claim.claim_id, at) for claim in waiting}
        return replace(
            use,
            claims=[
                replace(claim, since_s=self._seen[claim.claim_id][1])
                if claim.owner == OTHER_JOBS and not claim.is_held
                else claim
                for claim in use.claims
            ],
        )

    def _note_waiting(
        self, use: ClusterUse, now: float, unmet: Sequence[Bundles], others: Sequence[Claim]
    ) -> tuple[str, ...]:
        """Note whether the run waits for its only worker group. Returns what to tell the user."""
        if not unmet:
            self._waiting_since = None
            return ()
        self._waiting_since = self._waiting_since or (now, self._wall_clock())
        if now - self._waiting_since[0] < _SAY_WAITING_S:
            return ()
        wish = self._wish(unmet[0])
        (found,) = settle(use, [wish])
        has_room = found.is_granted and not found.leaving  # Ray has yet to place it
        return () if has_room else (waiting_line(wish.resources, others),)

    def _asked(self, use: ClusterUse, wishes: Sequence[Claim], to_come: Nodes) -> frozenset[str]:
        """Return the names of own claims to ask for: those that are granted.

        A run without a worker group asks for one in any case, unless that could take the room of another that
        comes before it: a cluster may grow only for what is asked for.
        """
        grown = {f"to come {number}": node for number, node in enumerate(to_come)}
        waiting = [claim for claim in use.claims if not claim.is_held]
        settled = settle(replace(use, free={**use.free, **grown}), [*waiting, *wishes])
        own = [each.claim.group for each in settled if each.claim.owner == self._run and each.is_granted]
        has_any = any(claim.is_held for claim in use.claims if claim.owner == self._run)
        if not own and not has_any and settled and settled[0].claim.owner == self._run:
            own = [settled[0].claim.group]
        return frozenset(own)

    def _leaving(
        self, use: ClusterUse, now: float, *, grows: bool
    ) -> tuple[frozenset[str], int, tuple[str, ...]]:
        """Return which worker groups may leave, how many of them do, and what to tell the user."""
        waiting = [claim for claim in use.claims if not claim.is_held]
        late = self._waited(waiting, now, _GROWTH_S if grows else _SETTLED_S)
        names, number, lines = set[str](), 0, list[str]()
        for each in settle(use, late):
            own = [group for group in each.leaving if group.owner == self._run]
            if own and self._may_leave(each, now):
                names |= {group.group for group in (*own, *each.instead)}
                number += len(own)
                lines.append(leaving_line(each.claim))
        return frozenset(names), number, tuple(lines)

    def _may_leave(self, settlement: Settlement, now: float) -> bool:
        if settlement.is_turn and not self._turn.is_over(now):
            return False
        if settlement.is_turn:
            self._turn.give_up()
        return True

    def _waited(self, claims: Sequence[Claim], now: float, for_s: float) -> list[Claim]:
        return [claim for claim in claims if now - self._seen[claim.claim_id][0] >= for_s]

    def _wishes(self, kind: Resources, number: int) -> list[Claim]:
        return [self._wish(bundles_of(kind), f"wish {kind} {index}") for index in range(number)]

    def _wish(self, bundles: Bundles, group: str = "") -> Claim:
        since_s = self._waiting_since[1] if self._waiting_since else self._wall_clock()
        return Claim(self._run, bundles, (), self._study, self._priority, since_s, group)
