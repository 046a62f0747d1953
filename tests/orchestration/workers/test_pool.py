"""The pool of worker groups, with groups that do as they are told and no cluster."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError

from l2rw_ray.config import Resources
from l2rw_ray.events import EpochCompleted, TrialStarted
from l2rw_ray.orchestration.broker.failure_policy import Fault
from l2rw_ray.orchestration.broker.trial_queue import EndedGroup, PendingTrials
from l2rw_ray.orchestration.cluster.membership import Membership, Node
from l2rw_ray.orchestration.sharing.cluster_sharing import SharingDecision
from l2rw_ray.orchestration.workers import pool as module
from l2rw_ray.orchestration.workers.group import WorkerAnswer
from l2rw_ray.orchestration.workers.pool import WorkerGroupPool
from l2rw_ray.orchestration.workers.run_config import WorkerGroupConfig
from l2rw_ray.orchestration.workers.trial_durations import TrialDurations

ONE = Resources()
HEAD, SPOT = Node("a", "10.0.0.1", {"CPU": 2.0}), Node("b", "10.0.0.2", {"CPU": 2.0})


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class _Broker:
    def __init__(self) -> None:
        self.waiting: dict[Resources, PendingTrials] = {}
        self.ended: dict[str, Fault | None] = {}
        self.joined: set[str] = set()
        self.holding: set[str] = set()
        self.released: list[tuple[frozenset[str], int]] = []

    def pending(self) -> dict[Resources, PendingTrials]:
        return dict(self.waiting)

    def release(self, groups: frozenset[str], number: int) -> None:
        self.released.append((groups, number))

    def group_ended(self, group: str, fault: Fault | None) -> EndedGroup:
        self.ended[group] = fault
        return EndedGroup(group in self.joined, group in self.holding)


class _Group:
    """Stands for a worker group."""

    def __init__(self, settings: WorkerGroupConfig, answered: Callable[[WorkerAnswer], object]) -> None:
        self.name, self.resources = settings.name, settings.resources
        self.errors: list[BaseException] = []
        self.nodes: frozenset[str] = frozenset()
        self.is_placed, self.has_ended, self.has_room = True, False, True
        self.requested_at, self.calls = module.monotonic(), []
        self.awaited_since, self.placement_name = self.requested_at, ""

    def start(self, placement_name: str) -> None:
        self.calls.append("start")
        self.placement_name = placement_name

    def note_waiting(self) -> None:
        self.awaited_since = module.monotonic()

    def stop(self) -> None:
        self.calls.append("stop")


class _Sharing:
    """Stands in for a shared cluster: returns the decision it was given, or grants everything."""

    def __init__(self) -> None:
        self.next: SharingDecision | None = None
        self.asked: list[tuple[dict, set, bool]] = []

    def placement_name(self, group: str) -> str:
        return f"name of {group}"

    def decide(self, wanted: dict, groups: set, *, is_training: bool, to_come: list) -> SharingDecision:
        self.asked.append((dict(wanted), groups, is_training))
        return self.next or SharingDecision(wanted)


class _Case:
    """A pool with what it works with, driven by hand."""

    def __init__(
        self, tmp_path: Path, trials: int, limit: int | None, clock: Clock, sharing: _Sharing | None
    ) -> None:
        self.broker, self.clock, self.groups = _Broker(), clock, []
        self.durations, self.nodes = TrialDurations(self.clock), [HEAD]
        self.lines: list[str] = []
        self.stuck: list[bool] = []
        self.pool = WorkerGroupPool(
            self.broker,
            SimpleNamespace(logs=tmp_path),
            self.durations,
            Membership(lambda: self.nodes, self.clock),
            remaining={ONE: trials},
            limit=limit,
            patience_s=60.0,
            notify=self.lines.append,
            on_stuck=lambda: self.stuck.append(True),
            sharing=sharing,
            make_group=self._make,
        )
        self.pool._scale({})

    def _make(self, settings: WorkerGroupConfig, answered: Callable[[WorkerAnswer], object]) -> _Group:
        self.groups.append(_Group(settings, answered))
        return self.groups[-1]

    def round(self, after_s: float = 1.0) -> None:
        self.clock.now += after_s
        self.pool._round()

    @property
    def gave_up(self) -> bool:
        return bool(self.stuck)


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., _Case]:
    def make(trials: int = 9, limit: int | None = None, sharing: _Sharing | None = None) -> _Case:
        clock = Clock()
        monkeypatch.setattr(module, "monotonic", clock)
        return _Case(tmp_path, trials, limit, clock, sharing)

    return make


def test_one_group_starts_and_more_as_trials_turn_out_to_last(case: Callable[..., _Case]) -> None:
    one = case()
    one.round()
    assert [group.calls for group in one.groups] == [["start"]]
    one.durations(TrialStarted("a", 1, 1, "cpu", "a core", 60, 10, {}, {}))
    one.clock.now += 2
    one.durations(EpochCompleted("a", 1, 3, 2.0, {}))
    one.round()
    assert one.pool.number(ONE) == 2, "as many as fit"


@pytest.mark.parametrize(("idle_after_s", "groups"), [(4.0, 2), (None, 1)])
def test_waiting_for_trials_is_no_part_of_a_start(
    case: Callable[..., _Case], idle_after_s: float | None, groups: int
) -> None:
    """A study that is checked for minutes would otherwise get one worker group alone."""
    one = case(trials=9)
    if idle_after_s is not None:
        one.broker.waiting = {ONE: PendingTrials(0, idle=1)}
        one.round(idle_after_s)
    one.clock.now += 120
    one.broker.waiting = {ONE: PendingTrials(0, running=1)}
    one.durations(TrialStarted("a", 1, 1, "cpu", "a core", 1, 10, {}, {}))
    one.round(2.0)
    assert one.pool.number(ONE) == groups


def test_a_lost_group_is_replaced_and_its_trial_returned(case: Callable[..., _Case]) -> None:
    one = case(limit=1)
    lost = one.groups[0]
    one.broker.joined.add(lost.name)
    lost.errors, lost.has_ended = [ActorDiedError()], True
    one.round()
    assert lost.calls == ["start", "stop"]
    assert one.broker.ended == {lost.name: Fault.WORKER_LOST}
    assert [group.name for group in one.groups] == ["group0", "group1"]
    assert one.lines == one.pool.errors == [], "the trial's own line says it"


def test_a_group_that_left_is_replaced_while_trials_wait(case: Callable[..., _Case]) -> None:
    one = case(trials=1)
    one.groups[0].has_ended = True
    one.round()
    assert one.broker.ended == {"group0": None}
    one.groups[1].has_ended = True
    one.pool.expect({ONE: 0})
    one.round()
    assert len(one.groups) == 2


def test_the_first_failed_start_is_told_at_once_and_the_third_ends_the_run(
    case: Callable[..., _Case], tmp_path: Path
) -> None:
    one = case(limit=1)
    for number in range(3):
        assert not one.gave_up
        one.groups[number].errors, one.groups[number].has_ended = [ValueError("no CUDA device")], True
        one.round()
    log = tmp_path / "group0.log"
    assert one.lines == [f"worker   group0 could not start: ValueError: no CUDA device; log {log}"]
    assert log.read_text() == "no CUDA device\n"
    assert len(one.pool.errors) == 3
    assert one.gave_up


def test_a_group_that_had_trained_shows_that_groups_can_start(case: Callable[..., _Case]) -> None:
    one = case(limit=1)
    for number in range(6):
        group = one.groups[number]
        group.errors, group.has_ended = [ActorDiedError()], True
        if number % 2:
            one.broker.joined.add(group.name)
        one.round()
    assert not one.gave_up
    assert len(one.groups) == 7


def test_a_lost_node_is_told_with_the_trials_that_were_on_it(case: Callable[..., _Case]) -> None:
    one = case(limit=2)
    one.nodes = [HEAD, SPOT]
    one.round()
    (group,) = one.groups
    group.nodes = frozenset({"b"})
    one.broker.joined.add(group.name)
    one.broker.holding.add(group.name)
    one.nodes = [HEAD]
    one.round()
    assert one.lines == ["node     10.0.0.2 lost: 1 trial goes on elsewhere"]
    assert one.broker.ended == {group.name: Fault.WORKER_LOST}
    assert one.pool.number(ONE) == 1


def test_a_run_without_nodes_waits_a_while(case: Callable[..., _Case]) -> None:
    one = case(trials=2)
    one.groups[0].is_placed = False
    one.nodes = []
    one.round()
    assert one.pool.number(ONE) == 0, "what no node has room for is withdrawn"
    one.round(59)
    assert "waiting  for nodes: no node has room for a worker; up to 60 s" in one.lines
    assert not one.gave_up
    one.round(2)
    assert one.gave_up


def test_groups_that_others_wait_for_are_released_and_requests_withdrawn(case: Callable[..., _Case]) -> None:
    sharing = _Sharing()
    one = case(limit=2, sharing=sharing)
    group = one.groups[0]
    assert group.placement_name == "name of group0"
    one.broker.waiting = {ONE: PendingTrials(3, running=1)}
    sharing.next = SharingDecision({}, leave=frozenset({"group0"}), leaving=1, lines=("sharing  …",) * 2)
    one.round()
    assert sharing.asked[-1] == ({}, {"group0"}, True)
    assert one.broker.released == [(frozenset({"group0"}), 1)]
    sharing.next = SharingDecision({})
    one.round()
    one.round()
    assert one.broker.released[1:] == [(frozenset(), 0)], "said once that nobody waits any more"
    sharing.next = SharingDecision({}, withdraw=frozenset({"group0"}))
    one.round()
    assert group.calls == ["start"], "it has got room in the meantime"
    group.is_placed = False
    one.round()
    assert group.calls == ["start", "stop"]
    assert one.lines == ["sharing  …"]
    assert one.pool.errors == [], "which is no failed start"
    one.round()
    assert not one.gave_up
    assert len(one.groups) == 1, "as long as others come first"


def test_waiting_for_room_counts_neither_as_a_failed_start_nor_as_its_duration(
    case: Callable[..., _Case],
) -> None:
    sharing = _Sharing()
    one = case(limit=2, sharing=sharing)
    one.groups[0].is_placed = one.groups[0].has_room = False
    sharing.next = SharingDecision({}, waiting=frozenset({"group0"}))
    for _ in range(400):
        one.round()
    sharing.next, one.groups[0].has_room = None, True
    one.round()
    assert one.lines == []
    one.groups[0].is_placed = True
    one.clock.now += 4
    one.durations(TrialStarted("a", 1, 1, "cpu", "a core", 60, 10, {}, {}))
    one.clock.now += 2
    one.durations(EpochCompleted("a", 1, 3, 2.0, {}))
    one.round()
    assert one.pool.number(ONE) == 2, "a start took 5 s, not 405"


def test_the_users_limit_holds_from_the_first_group_on(case: Callable[..., _Case]) -> None:
    sharing = _Sharing()
    case(limit=1, sharing=sharing)
    assert sharing.asked == [({ONE: 1}, set(), False)]


def test_processes_that_do_not_come_up_are_a_failed_start(case: Callable[..., _Case]) -> None:
    one = case(limit=1)
    one.groups[0].is_placed = False
    one.round(121)
    assert "group0 could not start: InfrastructureError: no process within 120 s" in one.lines[0]


def test_all_groups_end_with_the_pool(case: Callable[..., _Case]) -> None:
    one = case(limit=1)
    one.pool.stop_scaling()
    one.pool.start()
    one.pool.join(timeout_s=0.0)
    assert one.groups[0].calls == ["start", "stop"]
    assert not one.gave_up
