"""What a run does where trials cannot start."""

from pathlib import Path
from typing import Any

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.errors import DataError
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.orchestration.execution import Execution


class _Workers:
    """Stands in for the worker groups, and records what they are asked for."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop_scaling(self) -> None:
        self.calls.append("stop scaling")

    def join(self, timeout_s: float) -> None:
        self.calls.append(("join", timeout_s))


def _raise(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize("error", [DataError("trial.data", "x", "not there", "look"), KeyboardInterrupt()])
@pytest.mark.parametrize("failing", ["prepare", "observe"])
def test_worker_groups_end_at_once_where_no_trial_can_start(
    study_tree: dict, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    """A thread of theirs that outlives Ray would end this process."""
    workers, steps = _Workers(), []
    monkeypatch.setattr(BrokerClient, "start", lambda limits: None)
    monkeypatch.setattr(Execution, "_worker_groups", lambda *_: workers)
    callbacks = {name: lambda name=name: steps.append(name) or [] for name in ("prepare", "observe")}
    callbacks[failing] = lambda: _raise(error)
    run = Execution(
        folder=None,
        begin=lambda trial: None,
        ledger=lambda event: None,
        notify=lambda line: None,
        max_concurrent_trials=1,
        trials_per_worker_group=1,
        **callbacks,
    )
    with pytest.raises(type(error)):
        run.run([], Path(), parse_study(study_tree))
    assert workers.calls == ["start", "stop scaling", ("join", 0.0)]
    assert steps == ([] if failing == "prepare" else ["prepare"])
