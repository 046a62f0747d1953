"""The learning rate of each step: by closed forms, in stages, after a restart, and in a trial's history."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch.optim import SGD

from l2rw_ray.config.method.section import Stage
from l2rw_ray.config.schedule import Schedule, StepSchedule
from l2rw_ray.errors import ConfigError
from l2rw_ray.events import EpochCompleted
from l2rw_ray.training.optim.schedules import LRSchedule
from tests.training.conftest import MakeTrial, train

PER_EPOCH = 4
"""Optimiser steps."""
COSINE = {"name": "cosine"}


def _rates(schedule: dict[str, Any], *stages: Stage, optimizer: SGD | None = None) -> LRSchedule:
    optimizer = optimizer or SGD([torch.zeros(())], lr=0.5)
    config = TypeAdapter(Schedule).validate_python(schedule)
    return LRSchedule((optimizer,), config, stages or (Stage(3),), PER_EPOCH, 0.5)


def _all_rates(schedule: dict[str, Any], *stages: Stage) -> list[float]:
    """The rate of each optimiser step, relative to that of the optimiser."""
    optimizer, stages = SGD([torch.zeros(())], lr=0.5), stages or (Stage(3),)
    rates, found = _rates(schedule, *stages, optimizer=optimizer), []
    for epoch in range(sum(stage.epochs for stage in stages)):
        rates.begin_epoch(epoch)
        for _ in range(PER_EPOCH):
            found.append(optimizer.param_groups[0]["lr"] / 0.5)
            rates.advance()
    return found


def _warm(step: int) -> float:
    return 0.01 + 0.99 * min(step / 4, 1)


CLOSED_FORMS: dict[str, tuple[dict[str, Any], Callable[[int], float]]] = {
    "constant": ({"name": "constant"}, lambda t: 1.0),
    "constant, warm-up": ({"name": "constant", "warmup": 1}, _warm),
    "step": ({"name": "step", "every": 1, "factor": 0.5}, lambda t: 0.5 ** (t // 4)),
    "step, warm-up": ({"name": "step", "every": 2, "warmup": 1}, lambda t: _warm(t) * 0.1 ** (t // 8)),
    "multi_step": (
        {"name": "multi_step", "milestones": [5, 7], "unit": "steps"},
        lambda t: 0.1 ** ((t >= 5) + (t >= 7)),
    ),
    "multi_step, warm-up": (
        {"name": "multi_step", "milestones": [2], "warmup": 1, "factor": 0.2},
        lambda t: _warm(t) * 0.2 ** (t >= 8),
    ),
    "cosine": (COSINE, lambda t: (1 + math.cos(math.pi * t / 12)) / 2),
    "cosine, warm-up": (
        {"name": "cosine", "warmup": 4, "unit": "steps", "final_factor": 0.2},
        lambda t: _warm(t) if t < 4 else 0.2 + 0.8 * (1 + math.cos(math.pi * (t - 4) / 8)) / 2,
    ),
    "linear": ({"name": "linear", "final_factor": 0.1}, lambda t: 1 - 0.9 * t / 12),
    "linear, warm-up": ({"name": "linear", "warmup": 1}, lambda t: _warm(t) if t < 4 else 1 - (t - 4) / 8),
    "polynomial": ({"name": "polynomial", "power": 0.9}, lambda t: (1 - t / 12) ** 0.9),
    "polynomial, warm-up": (
        {"name": "polynomial", "warmup": 1},
        lambda t: _warm(t) if t < 4 else (1 - (t - 4) / 8) ** 2,
    ),
    "one_cycle": (
        {"name": "one_cycle", "rise": 0.5, "anneal": "linear", "initial_factor": 0.1, "final_factor": 0.01},
        lambda t: 0.1 + 0.9 * t / 5 if t <= 5 else 1 - 0.99 * (t - 5) / 6,
    ),
}


@pytest.mark.parametrize("case", CLOSED_FORMS)
def test_rate_of_each_step_is_the_closed_form(case: str) -> None:
    schedule, form = CLOSED_FORMS[case]
    assert _all_rates(schedule) == pytest.approx([form(step) for step in range(12)], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("case", CLOSED_FORMS)
def test_every_stage_starts_anew_and_warms_up_where_its_parameters_are_fresh(case: str) -> None:
    schedule, _ = CLOSED_FORMS[case]
    stages = (Stage(2), Stage(2), Stage(3, lr_factor=0.1, is_fresh=False))
    found = _all_rates(schedule, *stages)
    assert found[:8] == found[8:16] == _all_rates(schedule, Stage(2))
    cold = _all_rates({name: value for name, value in schedule.items() if name != "warmup"}, Stage(3))
    assert found[16:] == pytest.approx([0.1 * rate for rate in cold])


@pytest.mark.parametrize("case", CLOSED_FORMS)
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_restored_schedule_goes_on_to_the_last_bit(case: str, epoch: int) -> None:
    schedule, stages = CLOSED_FORMS[case][0], (Stage(2), Stage(2, lr_factor=0.3, is_fresh=False))
    expected = _all_rates(schedule, *stages)
    optimizer = SGD([torch.zeros(())], lr=0.5)
    rates = _rates(schedule, *stages, optimizer=optimizer)
    for before in range(epoch):
        rates.begin_epoch(before)
        for _ in range(PER_EPOCH):
            rates.advance()
    other = SGD([torch.zeros(())], lr=0.5)
    resumed, found = _rates(schedule, *stages, optimizer=other), []
    other.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(rates.state_dict(), epoch)
    for later in range(epoch, 4):
        resumed.begin_epoch(later)
        for _ in range(PER_EPOCH):
            found.append(other.param_groups[0]["lr"] / 0.5)
            resumed.advance()
            assert resumed.metrics == {"learning_rate": 0.5 * found[-1]}
    assert found == expected[epoch * PER_EPOCH :]


def test_groups_keep_their_ratio_and_the_last_factor_stays() -> None:
    optimizer = SGD([{"params": [torch.zeros(())]}, {"params": [torch.zeros(())], "lr": 0.05}], lr=0.5)
    rates = _rates(COSINE, optimizer=optimizer)
    rates.begin_epoch(0)
    for _ in range(99):
        rates.advance()
    head, other = (group["lr"] for group in optimizer.param_groups)
    assert 0 < other == pytest.approx(head / 10)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (
            {"name": "cosine", "warmup": 12, "unit": "steps"},
            "12 optimiser steps do not fit into a stage of 12",
        ),
        ({"name": "one_cycle", "rise": 0.05}, "of 12 optimiser steps it leaves none to rise in"),
    ],
)
def test_a_stage_too_short_for_the_schedule_is_refused(schedule: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _rates(schedule)


def test_history_has_the_rate_of_each_epochs_last_step(make_trial: MakeTrial) -> None:
    changes = {"optim__epochs": 3, "optim__schedule": {"name": "linear"}}
    epochs = [event for event in train(make_trial(**changes)) if isinstance(event, EpochCompleted)]
    found = [event.metrics["learning_rate"] for event in epochs]
    assert found == pytest.approx([0.05 * (1 - step / 9) for step in (2, 5, 8)])
    accumulating = train(make_trial(**changes, optim__accumulation_steps=2))[1:4]
    found = [event.metrics["learning_rate"] for event in accumulating]
    assert found == pytest.approx([0.05 * (1 - step / 6) for step in (1, 3, 5)])
    assert "learning_rate" not in train(make_trial())[1].metrics


def test_fine_tuning_restarts_at_its_own_rate(make_trial: MakeTrial) -> None:
    method = {"name": "finetune_meta", "finetune_epochs": 1, "lr_factor": 0.2}
    *epochs, _ = train(make_trial(method=method, optim__epochs=3))[1:]
    assert [event.metrics["learning_rate"] for event in epochs] == pytest.approx([0.05, 0.05, 0.01])
    schedule = {"name": "cosine", "warmup": 1, "final_factor": 0.5}
    *epochs, _ = train(make_trial(method=method, optim__epochs=3, optim__schedule=schedule))[1:]
    third = (0.5 + 0.5 * (1 + math.cos(math.pi * 2 / 3)) / 2) * 0.05
    warm = 0.05 * (0.01 + 0.99 * 2 / 3)
    assert [event.metrics["learning_rate"] for event in epochs] == pytest.approx([warm, third, third * 0.2])


def test_an_untouched_schedule_trains_as_before_it_existed(make_trial: MakeTrial, tmp_path: Path) -> None:
    trial, schedule = make_trial(), StepSchedule(name="step", every=9, unit="steps")
    optim = trial.config.optim.model_copy(update={"schedule": schedule})  # one that a study may not name
    constant = train(replace(trial, config=trial.config.model_copy(update={"optim": optim})))
    assert constant[-1].metrics["test_loss"] == train(trial)[-1].metrics["test_loss"]
