"""Tune's trials without actors, and what of Tune's private parts that relies on."""

import ast
import inspect

import pytest
import ray
from ray.air.execution._internal import RayActorManager
from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.tune.execution import tune_controller

from l2rw_ray.events import EpochCompleted, TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.orchestration.tune.in_process import BrokerTrial, RelayManager, trials_in_this_process
from l2rw_ray.orchestration.tune.trial_reports import TrialReports

_USED = {
    *("add_actor", "remove_actor", "schedule_actor_task", "clear_actor_task_futures", "next", "cleanup"),
    *("is_actor_started", "is_actor_failed", "get_live_actors_resources"),
    *("num_live_actors", "num_pending_actors", "num_total_actors", "num_actor_tasks"),
    "_live_actors_to_ray_actors_resources",
}
_UNREACHED = {"_actor_task_events"}
"""Used only by trials that export models, which ours do not."""


def _used_by_tune() -> set[str]:
    """Names of the actor manager's parts that Tune's controller uses."""
    tree = ast.parse(inspect.getsource(tune_controller))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "_actor_manager"
    }


def test_tune_uses_what_its_stand_in_has() -> None:
    """Fails where another release of Ray has changed what Tune wants of its actors."""
    advice = f"ray {ray.__version__}: compare RelayManager with ray.air.execution's RayActorManager"
    assert tune_controller.RayActorManager is RayActorManager, advice
    assert _used_by_tune() == _USED | _UNREACHED, advice
    manager = RelayManager(TrialReports(with_epochs=True))
    assert all(hasattr(manager, name) for name in _USED), advice


@pytest.mark.parametrize("name", ["add_actor", "remove_actor", "schedule_actor_task", "next"])
def test_parameters_are_those_of_the_original(name: str) -> None:
    original, own = (
        list(inspect.signature(getattr(cls, name)).parameters) for cls in (RayActorManager, RelayManager)
    )
    assert own == original, f"ray {ray.__version__} calls {name} otherwise"


START = TrialStarted("a", 1, 1, "cpu", "a core", 60, 3, {}, {})


@pytest.fixture
def calls() -> list[tuple[str, TrackedActor]]:
    return []


def test_life_of_a_trial(calls: list[tuple[str, TrackedActor]]) -> None:
    reports, results = TrialReports(with_epochs=True), []
    manager = RelayManager(reports)
    actor = manager.add_actor(
        BrokerTrial,
        {"config": {"trial_id": "a"}},
        None,
        on_start=lambda actor: calls.append(("start", actor)),
        on_stop=lambda actor: calls.append(("stop", actor)),
        on_error=lambda actor, error: calls.append(("error", actor)),
    )
    assert (manager.num_pending_actors, manager.num_live_actors) == (1, 0)
    assert manager.next(0.0)
    assert calls == [("start", actor)]
    assert manager.is_actor_started(actor)

    def train() -> None:
        manager.schedule_actor_task(actor, "train", on_result=lambda actor, result: results.append(result))

    reports(START)
    reports(EpochCompleted("a", 1, 3, 0.5, {"train_loss": 1.0}))
    assert not manager.next(0.0), "nobody has asked"
    train()
    assert manager.num_actor_tasks == 1
    assert manager.next(0.0)
    train()
    reports(TrialEnded("a", TrialStatus.COMPLETED, 3, 9, 1.5))
    assert manager.next(0.0)
    assert [(each["training_iteration"], each["done"], each["epoch"]) for each in results] == [
        *((1, False, 1), (2, True, 3))
    ]
    manager.schedule_actor_task(actor, "stop", _return_future=True)
    assert manager.remove_actor(actor, kill=False, stop_future=None)
    assert manager.num_total_actors == 1
    assert manager.next(0.0)
    assert calls == [("start", actor), ("stop", actor)]
    assert manager.num_total_actors == 0
    assert not manager.remove_actor(actor)


def test_tune_has_its_own_manager_again_after_the_block() -> None:
    with trials_in_this_process(TrialReports(with_epochs=True)):
        assert isinstance(tune_controller.RayActorManager(None), RelayManager)
    assert tune_controller.RayActorManager is RayActorManager
