"""Trials measured in steps, evaluated within epochs: what they train, report, select and resume."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from l2rw_ray.config import PlannedTrial, parse_study
from l2rw_ray.config.overrides import assign
from l2rw_ray.config.study import StudySpec
from l2rw_ray.errors import ConfigError
from l2rw_ray.events import EpochCompleted, TrialEnded, TrialStarted
from l2rw_ray.training import Ranks
from tests.gloo_ranks import run_on_ranks
from tests.training.conftest import MakeTrial, train
from tests.training.killing import Ending, differences, raise_at, trained
from tests.training.test_exact_resume import CASES, _killed_and_resumed, _trial

SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "batch_size": 20}
"""Epochs have 3 steps."""


def _rows(trial: PlannedTrial) -> list[tuple[float, int]]:
    return [(event.epoch, event.step) for event in train(trial) if isinstance(event, EpochCompleted)]


def test_history_is_keyed_by_step_and_epoch(make_trial: MakeTrial) -> None:
    rows = _rows(make_trial(optim={**SGD, "steps": 7}, evaluate_every={"steps": 2}))
    assert [step for _, step in rows] == [2, 4, 6, 7]
    assert [epoch for epoch, _ in rows] == pytest.approx([2 / 3, 4 / 3, 2, 7 / 3])
    assert isinstance(rows[2][0], int), "whole at the end of an epoch"
    assert _rows(make_trial(optim={**SGD, "epochs": 5}, evaluate_every={"epochs": 2})) == [
        (2, 6),
        (4, 12),
        (5, 15),
    ]


def test_events_say_how_long_the_trial_is(make_trial: MakeTrial) -> None:
    events = train(make_trial(optim={**SGD, "steps": 7}))
    started, ended = events[0], events[-1]
    assert isinstance(started, TrialStarted)
    assert isinstance(ended, TrialEnded)
    assert started.epochs == ended.epochs == pytest.approx(7 / 3)
    assert ended.steps == 7


@pytest.mark.parametrize("method", ["uniform", "l2rw"])
def test_evaluations_change_no_training(make_trial: MakeTrial, method: str) -> None:
    plain = {"method": {"name": method}, "optim": {**SGD, "epochs": 3}}
    expected = trained(make_trial(**plain)).tensors
    for changes in (
        {"evaluate_every": {"steps": 2}},
        {"evaluate_every": {"epochs": 2}},
        {"optim": {**SGD, "steps": 9}},
    ):
        found = trained(make_trial(**{**plain, **changes})).tensors
        assert all(torch.equal(found[name], value) for name, value in expected.items()), changes


def test_train_losses_are_means_since_the_last_evaluation(make_trial: MakeTrial) -> None:
    optim = {**SGD, "epochs": 2}
    each = train(make_trial(optim=optim, evaluate_every={"steps": 1}))
    whole = train(make_trial(optim=optim))
    losses = [event.metrics["train_loss"] for event in each if isinstance(event, EpochCompleted)]
    means = [event.metrics["train_loss"] for event in whole if isinstance(event, EpochCompleted)]
    assert means == pytest.approx([sum(losses[:3]) / 3, sum(losses[3:]) / 3])


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("l2rw", {}),
        ("l2rw", {"optim__accumulation_steps": 2}),
        ("uniform", {"optim__schedule": {"name": "cosine", "warmup": 1}, "data__augment": ["crop", "flip"]}),
        ("jtt", {"selection": {"select": "best", "metric": "loss", "patience": 3}}),
        ("resample", {}),
        ("finetune_meta", {"precision": "float16"}),
    ],
)
@pytest.mark.parametrize("step", [4, 7])
def test_a_trial_resumes_exactly_within_an_epoch(
    make_trial: MakeTrial, tmp_path: Path, name: str, changes: dict[str, Any], step: int
) -> None:
    every = {"evaluate_every": {"steps": 2}, "optim": {**SGD, "steps": 11}}
    trial = _trial_of(make_trial, name, {**every, **changes})
    resumed = _killed_and_resumed(trial, tmp_path, step)
    assert step - 2 <= min(resumed.drawn) <= step
    assert not differences(resumed, trained(trial))


def _trial_of(make_trial: MakeTrial, name: str, changes: dict[str, Any]) -> PlannedTrial:
    optim = {**changes.pop("optim")}
    for path in [each for each in changes if each.startswith("optim__")]:
        optim[path.removeprefix("optim__")] = changes.pop(path)
    without_length = {"optim__epochs": 4}
    return _trial(make_trial, CASES[name], **{**without_length, "optim": optim, **changes})


def test_the_rate_falls_to_its_end_in_a_partial_epoch(make_trial: MakeTrial) -> None:
    optim = {**SGD, "steps": 8, "schedule": {"name": "linear"}}
    events = train(make_trial(optim=optim, evaluate_every={"steps": 1}))[1:-1]
    found = [event.metrics["learning_rate"] for event in events if isinstance(event, EpochCompleted)]
    assert found == pytest.approx([0.05 * (1 - step / 8) for step in range(8)])
    optim |= {"accumulation_steps": 2}
    events = train(make_trial(optim=optim))[1:-1]
    found = [event.metrics["learning_rate"] for event in events if isinstance(event, EpochCompleted)]
    assert found == pytest.approx([0.05 * (1 - step / 5) for step in (1, 3, 4)]), "2, 2 and 1 optimiser steps"


def test_patience_counts_evaluations(make_trial: MakeTrial) -> None:
    changes = {"optim": {**SGD, "lr": 0.9, "steps": 24}, "evaluate_every": {"steps": 2}}
    losses = [
        event.metrics["validation_loss"]
        for event in train(make_trial(**changes))
        if isinstance(event, EpochCompleted)
    ]
    waited, expected = 0, len(losses)
    for place in range(1, len(losses)):
        waited = 0 if losses[place] < min(losses[:place]) else waited + 1
        if waited == 2:
            expected = place + 1
            break
    assert expected < len(losses)
    selection = {"select": "best", "metric": "loss", "patience": 2}
    ended = train(make_trial(**changes, selection=selection))[-1]
    assert isinstance(ended, TrialEnded)
    assert ended.steps == 2 * expected
    assert ended.metrics["validation_loss"] == min(losses[:expected])
    assert ended.metrics["selected_epoch"] == pytest.approx(
        2 * (losses.index(min(losses[:expected])) + 1) / 3
    )


def _ranked(rank: int, world_size: int, trial: PlannedTrial) -> tuple[dict[str, torch.Tensor], Any]:
    ending: Ending = trained(trial, ranks=Ranks(rank, world_size))
    return dict(ending.tensors), dict(ending.examples)


def test_two_ranks_equal_one_process(make_trial: MakeTrial, tmp_path: Path) -> None:
    trial = make_trial(optim={**SGD, "steps": 7}, evaluate_every={"steps": 2}, method={"name": "l2rw"})
    alone = trained(trial)
    tensors, examples = run_on_ranks(_ranked, 2, tmp_path, trial)
    for name, value in alone.tensors.items():
        assert torch.allclose(tensors[name], value, rtol=1e-4, atol=1e-6)
    assert examples.keys() == alone.examples.keys()


def test_a_trial_that_died_in_its_first_steps_starts_over(make_trial: MakeTrial, tmp_path: Path) -> None:
    trial = make_trial(optim={**SGD, "steps": 5}, evaluate_every={"steps": 3})
    from tests.training.killing import DeathError

    with pytest.raises(DeathError):
        trained(trial, tmp_path, at_step=raise_at(1))
    assert not differences(trained(trial, tmp_path), trained(trial))


def test_stages_are_checked_once_the_data_say_how_many_epochs(make_trial: MakeTrial) -> None:
    method = {"name": "jtt", "first_epochs": 3}
    with pytest.raises(ConfigError, match=r"method.first_epochs = 3: .*use at most 1"):
        train(make_trial(method=method, optim={**SGD, "steps": 6}))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"optim": {**SGD, "steps": 5, "epochs": 2}}, "optim.epochs: 2 says it too; leave one of them out"),
    ({"optim": {**SGD, "epochs": None}}, "nothing says how long to train; give epochs, or steps"),
    ({"evaluate_every": {}}, "no interval is given"),
    ({"evaluate_every": {"steps": 2, "epochs": 1}}, "an interval has one unit"),
    ({"evaluate_every": {"steps": 0}}, "evaluate_every.steps"),
    (
        {"optim": {**SGD, "steps": 5, "schedule": {"name": "cosine", "warmup": 5, "unit": "steps"}}},
        "the warm-up is as long as a stage of 5 steps; use at most 4",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_contradicts_itself_is_refused(
    study_tree: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    for path, value in changes.items():
        study_tree = assign(study_tree, f"trial.{path}", value, StudySpec)
    with pytest.raises(ConfigError, match=message):
        parse_study(study_tree)


@pytest.mark.parametrize(
    ("optim", "stopping", "message"),
    [
        ({"steps": 90}, {"grace_steps": 30}, None),
        ({"steps": 90}, {}, "say how many steps every trial trains"),
        ({"steps": 90}, {"grace_steps": 91}, "a trial has 90 steps at most"),
        ({"epochs": 9}, {"grace_steps": 30}, "use grace_epochs instead"),
    ],
)
def test_a_stopping_rule_goes_by_the_unit_of_the_length(
    study_tree: dict[str, Any], optim: dict[str, Any], stopping: dict[str, Any], message: str | None
) -> None:
    study_tree["trial"]["optim"] = {**SGD, **optim}
    study_tree["seeds"] = 1
    study_tree["design"] = {
        "kind": "search",
        "space": {"optim.lr": {"kind": "float", "low": 0.01, "high": 0.1}},
        "budget": {"trials": 4},
        "stopping": {"name": "asha", **stopping},
    }
    if message is None:
        spec = parse_study(study_tree)
        assert math.isfinite(spec.design.stopping.grace)  # type: ignore[union-attr]
        return
    with pytest.raises(ConfigError, match=message):
        parse_study(study_tree)
