"""Which epoch's model is tested, when training ends early, and that both survive a resumption."""

from pathlib import Path
from typing import Any

import pytest
import torch

from l2rw_ray.config import parse_study
from l2rw_ray.config.overrides import assign
from l2rw_ray.config.selection import Selection
from l2rw_ray.config.study import StudySpec
from l2rw_ray.errors import ConfigError
from l2rw_ray.training.selection import BestEpoch
from tests.training.conftest import MakeTrial, train
from tests.training.killing import differences, trained
from tests.training.test_exact_resume import CASES, _expect_exact, _trial

JUMPY = {"optim__lr": 0.9, "optim__epochs": 8}
"""So that the last epoch is rarely the best."""
BEST = {"select": "best", "metric": "loss"}


def _losses(events: Any) -> list[float]:
    return [event.metrics["validation_loss"] for event in events[1:-1]]


def test_the_model_of_the_best_epoch_is_tested_once(make_trial: MakeTrial) -> None:
    plain = train(make_trial(**JUMPY))
    losses = _losses(plain)
    best = min(range(8), key=losses.__getitem__)
    assert best < 7, "the choice makes a difference"
    found = train(make_trial(**JUMPY, selection=BEST))
    assert _losses(found) == losses, "training is the same"
    metrics = found[-1].metrics
    assert metrics["selected_epoch"] == best + 1
    assert metrics["validation_loss"] == losses[best]
    shorter = train(make_trial(**JUMPY), stop_after=best + 1)
    for name in ("test_loss", "test_balanced_accuracy"):
        assert metrics[name] == shorter[-1].metrics[name]
        assert "selected_epoch" not in plain[-1].metrics


def test_patience_ends_training_and_the_trial_is_complete(make_trial: MakeTrial) -> None:
    losses = _losses(train(make_trial(**JUMPY)))
    waited, expected = 0, 8
    for epoch in range(1, 8):
        waited = 0 if losses[epoch] < min(losses[:epoch]) else waited + 1
        if waited == 2:
            expected = epoch + 1
            break
    assert expected < 8
    ended = train(make_trial(**JUMPY, selection={"metric": "loss", "patience": 2}))[-1]
    assert (ended.status.value, ended.epochs) == ("completed", expected)
    assert ended.metrics["validation_loss"] == losses[expected - 1], "the last one is tested"


@pytest.mark.parametrize("name", ["l2rw", "jtt", "finetune_meta"])
def test_a_choice_resumes_exactly(make_trial: MakeTrial, tmp_path: Path, name: str) -> None:
    selection = {**BEST, "patience": 2}
    _expect_exact(_trial(make_trial, CASES[name], selection=selection, optim__lr=0.9), tmp_path, name)


@pytest.mark.parametrize(
    ("method", "first"),
    [({"name": "jtt", "first_epochs": 3}, 4), ({"name": "finetune_meta", "finetune_epochs": 1}, 4)],
)
def test_only_the_last_stage_is_looked_at(make_trial: MakeTrial, method: dict[str, Any], first: int) -> None:
    ended = train(make_trial(method=method, optim__epochs=4, selection={**BEST, "patience": 1}))[-1]
    assert (ended.metrics["selected_epoch"], ended.epochs) == (first, 4)


def test_a_checkpoint_after_the_last_epoch_ends_without_another(
    make_trial: MakeTrial, tmp_path: Path
) -> None:
    trial = make_trial(**JUMPY, selection={**BEST, "patience": 1})
    first = trained(trial, tmp_path)
    again = trained(trial, tmp_path)
    assert not again.drawn
    assert not differences(again, first)


def test_first_of_equals_is_selected_and_copied() -> None:
    best = BestEpoch(Selection(select="best"), is_regression=False, first_epoch=0)
    weight = torch.zeros(())
    for epoch, value in enumerate([0.2, 0.5, 0.5, 0.3], start=1):
        weight.fill_(epoch)
        best.add(epoch, {"validation_balanced_accuracy": value}, lambda: {"weight": weight})
    assert best.epoch == 2
    assert best.model["weight"] == 2


def test_a_metric_of_the_other_task_is_refused(make_trial: MakeTrial) -> None:
    with pytest.raises(ConfigError, match=r"no such metric; use one of .*balanced_accuracy"):
        train(make_trial(selection={"select": "best", "metric": "rmse"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"selection": {"select": "best"}, "data.validation_size": 0}, "set data.validation_size"),
        ({"selection": {"patience": 3}, "data.validation_size": 0}, "set data.validation_size"),
        ({"selection": {"metric": "accurracy"}}, "no such metric; use one of accuracy"),
        ({"selection": {"metric": "loss", "mode": "max"}}, "'loss' is minimised; leave it out"),
        ({"selection": {"mode": "max"}}, "it goes with a metric"),
        ({"selection": {"metric": "mine"}, "metrics": ["my.code:mine"]}, "use max or min"),
    ],
)
def test_what_cannot_select_is_refused(study_tree: dict, changes: dict[str, Any], message: str) -> None:
    for path, value in changes.items():
        study_tree = assign(study_tree, f"trial.{path}", value, StudySpec)
    with pytest.raises(ConfigError, match=message):
        parse_study(study_tree)
