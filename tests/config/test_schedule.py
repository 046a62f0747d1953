"""Schedules in a study file: as a factor of a design, and what does not fit into a trial."""

from typing import Any

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.config.overrides import assign
from l2rw_ray.config.study import StudySpec
from l2rw_ray.errors import ConfigError
from l2rw_ray.planning.plan import plan_study

JTT = {"name": "jtt", "first_epochs": 1}
FINETUNING = {"name": "finetune_meta", "finetune_epochs": 1}


def _with_schedule(tree: dict, schedule: dict[str, Any], method: dict[str, Any] | None = None) -> Any:
    tree = assign(tree, "trial.optim.schedule", schedule, StudySpec)
    tree["trial"] |= {"method": method or {"name": "uniform"}}
    tree["design"] = {"kind": "grid", "factors": {"optim.lr": [0.1]}}
    return parse_study(tree)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("optim.schedule.name", ["constant", "cosine"]),
        ("optim.schedule", [{"name": "constant"}, {"name": "step", "every": 1}]),
    ],
)
def test_a_schedule_is_a_factor(study_tree: dict, path: str, values: list[Any]) -> None:
    study_tree["design"] = {"kind": "grid", "factors": {path: values}}
    trials = plan_study(parse_study(study_tree))
    assert len({trial.trial_id for trial in trials}) == len(trials) == 4
    assert {trial.config.optim.schedule.name for trial in trials} >= {"constant"}


@pytest.mark.parametrize(
    ("schedule", "method", "message"),
    [
        ({"name": "cosine", "warmup": 2}, None, "the warm-up is as long as a stage of 2 epochs"),
        ({"name": "cosine", "warmup": 1}, JTT, "the warm-up is as long as a stage of 1 epochs"),
        ({"name": "multi_step", "milestones": [1, 2]}, None, r"the trial ends after optim.epochs: 2"),
        ({"name": "multi_step", "milestones": [1]}, JTT, "the longest has 1 epochs; leave later ones out"),
        (
            {"name": "step", "every": 2},
            None,
            "every = 2: the trial ends after optim.epochs: 2; use a shorter",
        ),
        ({"name": "multi_step", "milestones": [2, 1]}, None, "milestones increase; sort them"),
        (
            {"name": "cosine", "warmup": 500, "unit": "steps"},
            None,
            "the warm-up is as long as a stage of [0-9]+ steps",
        ),
        (
            {"name": "multi_step", "milestones": [5, 500], "unit": "steps"},
            None,
            "the trial ends after optim.epochs: 2, [0-9]+ steps at most",
        ),
        ({"name": "one_cycle", "warmup": 1}, None, "warmup"),
        ({"name": "step"}, None, "every"),
    ],
)
def test_what_does_not_fit_is_refused(
    study_tree: dict, schedule: dict[str, Any], method: dict[str, Any] | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        _with_schedule(study_tree, schedule, method)


def test_fine_tuning_warms_up_only_once(study_tree: dict) -> None:
    study_tree["trial"]["optim"]["epochs"] = 3
    spec = _with_schedule(study_tree, {"name": "cosine", "warmup": 1}, FINETUNING)
    assert [stage.is_fresh for stage in spec.trial.method.stages(3)] == [True, False]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"name": "cosine", "warmup": 30, "unit": "steps"}, "the warm-up is as long as a stage of 30 steps"),
        ({"name": "cosine", "warmup": 3}, "the warm-up is as long as a stage of 3 epochs"),
        ({"name": "multi_step", "milestones": [10, 30], "unit": "steps"}, "ends after optim.steps: 30;"),
        ({"name": "multi_step", "milestones": [3]}, "ends after optim.steps: 30;"),
        (
            {"name": "multi_step", "milestones": [9], "unit": "steps", "accumulation_steps": 4},
            "ends after optim.steps: 30, which are 9 optimiser steps;",
        ),
    ],
)
def test_lengths_in_steps_are_known_too(study_tree: dict, schedule: dict[str, Any], message: str) -> None:
    study_tree["trial"]["data"]["train_size"] = 100
    study_tree["trial"]["optim"] |= {"epochs": None, "steps": 30, "batch_size": 10}
    study_tree["trial"]["optim"] |= {"accumulation_steps": schedule.pop("accumulation_steps", 1)}
    with pytest.raises(ConfigError, match=message):
        _with_schedule(study_tree, schedule)


def test_what_only_data_tell_is_left_to_them(study_tree: dict) -> None:
    study_tree["trial"]["data"] = {"source": "image_folder", "train": "images"}
    study_tree["trial"]["model"] = {"name": "lenet"}
    _with_schedule(study_tree, {"name": "cosine", "warmup": 10**6, "unit": "steps"})
