"""The broker's client: what it sends to the actor, and that it travels to other processes."""

import inspect
import pickle
from types import SimpleNamespace

import pytest

from l2rw_ray.config import PlannedTrial, parse_study
from l2rw_ray.events import TrialEnded, TrialStatus
from l2rw_ray.orchestration.broker import client as module
from l2rw_ray.orchestration.broker.actor import Broker
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.orchestration.broker.trial_queue import Lease
from l2rw_ray.planning.plan import plan_study

END = TrialEnded("a", TrialStatus.COMPLETED, 1, 3, 1.0)


@pytest.fixture
def trial(study_tree: dict) -> PlannedTrial:
    return plan_study(parse_study(study_tree))[0]


class _Actor:
    """Stands for an actor's handle: checks each call against `Broker` and answers at once."""

    def __init__(self, answer: object = None) -> None:
        self._answer, self.calls = answer, []

    def __getattr__(self, name: str) -> SimpleNamespace:
        def remote(*arguments: object, **named: object) -> object:
            inspect.signature(getattr(Broker, name)).bind(None, *arguments, **named)
            self.calls.append((name, *arguments))
            return self._answer

        return SimpleNamespace(remote=remote)


@pytest.fixture
def got(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """The time-outs of the calls whose answers were waited for."""
    timeouts: list[float | None] = []

    def get(answer: object, timeout: float | None = None) -> object:
        timeouts.append(timeout)
        return answer

    monkeypatch.setattr(module.ray, "get", get)
    return timeouts


def test_every_call_is_one_of_the_broker(trial: PlannedTrial, got: list) -> None:
    actor, resources = _Actor([END]), trial.resources
    broker = BrokerClient(actor)
    broker.submit(trial)
    broker.cancel(trial.trial_id, "interrupted")
    broker.lease("group0", resources, 20.0)
    broker.report([END], 1)
    broker.fail(Lease(trial, 1), 0, "ValueError: no", "", timeout_s=3.0)
    broker.pending()
    broker.group_ended("group0", module.Fault.WORKER_LOST)
    broker.drain(1.0, 0.2)
    broker.interrupt(30.0)
    assert len(got) == len(actor.calls) == 9
    assert [timeout for timeout in got if timeout] == [3.0]


def test_some_calls_do_not_wait(trial: PlannedTrial, got: list) -> None:
    actor = _Actor()
    broker = BrokerClient(actor)
    broker.complete(trial.resources)
    broker.release(frozenset({"group0"}), 1)
    broker.interrupt_async()
    broker.close()
    assert [name for name, *_ in actor.calls] == ["complete", "release", "interrupt", "close"]
    assert not got


def test_client_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(BrokerClient("handle"))) == BrokerClient("handle")
