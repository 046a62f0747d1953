"""A worker group's answers, without actors: when it trains, when it is over, and why."""

from types import SimpleNamespace

import pytest

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.workers import group as module
from l2rw_ray.orchestration.workers.group import WorkerAnswer, WorkerGroup
from l2rw_ray.orchestration.workers.rendezvous import WorkerPlace
from l2rw_ray.orchestration.workers.run_config import WorkerGroupConfig

FIRST, LATER = RuntimeError("connection closed by gloo"), RuntimeError("killed")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class _Actor:
    """Stands for an actor's handle; notes what it is asked to train with."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.train = SimpleNamespace(remote=self._train)

    def _train(self, settings: WorkerGroupConfig, variables: dict[str, str]) -> SimpleNamespace:
        self.variables = variables
        return SimpleNamespace(future=lambda: SimpleNamespace(add_done_callback=lambda done: None))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


@pytest.fixture
def pair(clock: Clock) -> WorkerGroup:
    settings = WorkerGroupConfig("group0", None, Resources(workers=2), None)
    group = WorkerGroup(settings, lambda answer: None)
    group._actors = [_Actor(), _Actor()]
    return group


def test_workers_train_once_all_have_a_place(pair: WorkerGroup) -> None:
    pair.receive(WorkerAnswer("group0", 1, WorkerPlace("b", "10.0.0.2", 4712)))
    assert not pair.is_placed
    assert not pair._actors[1].variables
    pair.receive(WorkerAnswer("group0", 0, WorkerPlace("a", "10.0.0.1", 4711)))
    assert pair.is_placed
    assert pair.nodes == {"a", "b"}
    assert [actor.variables["RANK"] for actor in pair._actors] == ["0", "1"]
    assert {actor.variables["MASTER_ADDR"] for actor in pair._actors} == {"10.0.0.1"}
    assert not pair.has_ended


def test_a_group_has_left_when_all_workers_have_returned(pair: WorkerGroup) -> None:
    pair.receive(WorkerAnswer("group0", 0))
    assert not pair.has_ended
    pair.receive(WorkerAnswer("group0", 1))
    assert pair.has_ended
    assert not pair.errors


def test_other_workers_have_a_moment_to_say_why(pair: WorkerGroup, clock: Clock) -> None:
    pair.receive(WorkerAnswer("group0", 0, error=FIRST))
    assert not pair.has_ended
    clock.now += 1
    pair.receive(WorkerAnswer("group0", 1, error=LATER))
    assert pair.has_ended
    assert pair.errors == [FIRST, LATER]


def test_a_worker_that_is_stuck_does_not_hold_up_the_others(pair: WorkerGroup, clock: Clock) -> None:
    pair.receive(WorkerAnswer("group0", 0, error=FIRST))
    clock.now += 3
    assert pair.has_ended
