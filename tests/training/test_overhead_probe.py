"""The overhead probe counts a check of scores by its share, and nowhere else."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from l2rw_ray.meta import checked_estimator
from l2rw_ray.training import overhead_probe
from tests.training.conftest import MakeTrial, train

Runs = Mapping[str, Callable[[], object]]


def _probed(make_trial: MakeTrial, **method: Any) -> Mapping[str, float]:
    trial = make_trial(method={"name": "l2rw", **method}, measurement__probe_rounds=2, optim__epochs=1)
    return train(trial)[-1].metrics


def test_a_check_counts_by_its_share_of_the_scored_steps(
    make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    times_s = {"plain": [1.0, 1.0], "scored": [2.0, 4.0], "checked": [5.0, 7.0], "between 0": [1.0, 1.0]}
    monkeypatch.setattr(overhead_probe, "interleaved_times", lambda *arguments: times_s)
    metrics = _probed(make_trial, update_every=2, verify_every=10)
    assert metrics["check_time_s"] == 3
    assert metrics["step_time_s"] == pytest.approx((3 + 3 / 10 + 1) / 2)
    assert metrics["overhead_ratio"] == metrics["step_time_s"]


@pytest.mark.parametrize("name", ["l2rw", "meta_weight_net"])
@pytest.mark.parametrize("verify_every", [1, 500])
def test_no_other_time_has_a_check_in_it(
    make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch, name: str, verify_every: int
) -> None:
    checks, certified = [0], checked_estimator.certified
    seen: dict[str, list[int]] = {}

    def counted(*arguments: Any) -> Any:
        checks[0] += 1
        return certified(*arguments)

    def called(runs: Runs, rounds: int, device: torch.device) -> dict[str, list[float]]:
        for run in runs.values():
            run()
        for name, run in runs.items():
            before = checks[0]
            run()
            seen[name] = [checks[0] - before]
        return {name: [1.0] for name in runs}

    monkeypatch.setattr(checked_estimator, "certified", counted)
    monkeypatch.setattr(overhead_probe, "interleaved_times", called)
    _probed(make_trial, name=name, update_every=2, verify_every=verify_every)
    assert seen == {"plain": [0], "scored": [0], "between 0": [0], "checked": [1]}


@pytest.mark.parametrize("method", [{"verify_every": 0}, {"name": "random"}])
def test_scores_that_are_not_checked_cost_no_check(make_trial: MakeTrial, method: dict[str, Any]) -> None:
    metrics = _probed(make_trial, **method)
    assert metrics["overhead_ratio"] > 0
    assert "check_time_s" not in metrics


def test_a_check_takes_time(make_trial: MakeTrial) -> None:
    metrics = _probed(make_trial)
    assert metrics["check_time_s"] > 0
