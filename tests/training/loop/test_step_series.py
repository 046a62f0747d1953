"""Step series against means worked out by hand, and what a trial tells of its steps and weights."""

import math
from pathlib import Path

import pytest
import torch

from l2rw_ray.events import WEIGHT_EDGES, EpochCompleted
from l2rw_ray.training.loop.step_series import step_series
from tests.training.conftest import MakeTrial, train


def test_few_steps_are_kept_one_by_one() -> None:
    series = step_series(torch.tensor([2.0, math.nan, 1.0]), None, first=30, evaluations=2)
    assert series.step == (31, 32, 33)
    assert series.train_loss == (2.0, None, 1.0)
    assert series.effective_sample_size == (None, None, None)


def test_many_steps_become_means_of_chunks() -> None:
    loss_S = torch.arange(401.0)
    effective_S = torch.full((401,), math.nan)
    effective_S[::6] = 8.0
    series = step_series(loss_S, effective_S, first=0, evaluations=1)
    assert series.step[:2] == (3, 6)
    assert (len(series.step), series.step[-1]) == (134, 401)
    assert series.train_loss[:2] == (1.0, 4.0)
    assert series.train_loss[-1] == 399.5, "the last two"
    assert series.effective_sample_size[:3] == (8.0, None, 8.0)


@pytest.mark.parametrize(("epochs", "points"), [(1, 200), (50, 40), (5000, 20)])
def test_epochs_of_long_trials_have_fewer_points(epochs: int, points: int) -> None:
    assert len(step_series(torch.ones(1000), None, first=0, evaluations=epochs).step) == points


def test_a_trial_tells_its_steps_weights_and_confusions(make_trial: MakeTrial) -> None:
    noise = {"kind": "uniform", "rate": 0.4}
    started, *epochs, ended = train(make_trial(data__noise=noise, optim__epochs=2))
    names = tuple(started.class_counts)
    assert ended.confusion.class_names == names
    right = sum(row[label] for label, row in enumerate(ended.confusion.counts))
    total = sum(map(sum, ended.confusion.counts))
    assert right / total == pytest.approx(ended.metrics["test_accuracy"])
    for epoch in epochs:
        assert sum(epoch.weights.clean) + sum(epoch.weights.corrupted) == started.train_examples
        assert sum(epoch.weights.corrupted) > 0
        assert len(epoch.weights.clean) == len(WEIGHT_EDGES) + 1
    last = epochs[-1].series
    assert last.step == tuple(range(epochs[0].step + 1, ended.steps + 1))
    known = [size for size in last.effective_sample_size if size is not None]
    assert sum(known) / len(known) == pytest.approx(epochs[-1].metrics["effective_sample_size"])


def test_plain_training_has_no_weights(make_trial: MakeTrial) -> None:
    epochs = [event for event in train(make_trial(method={"name": "uniform"})) if hasattr(event, "weights")]
    assert {epoch.weights for epoch in epochs} == {None}
    assert all(all(loss is not None for loss in epoch.series.train_loss) for epoch in epochs)


def test_a_resumed_trial_keeps_its_arrays(make_trial: MakeTrial, tmp_path: Path) -> None:
    trial = make_trial(optim__epochs=3)
    told = [event for event in train(trial) if isinstance(event, EpochCompleted)]
    train(trial, checkpoints=tmp_path, stop_after=2)
    history = train(trial, checkpoints=tmp_path)[0].history
    assert [epoch.series for epoch in history] == [epoch.series for epoch in told[:2]]
    assert [epoch.weights for epoch in history] == [epoch.weights for epoch in told[:2]]
