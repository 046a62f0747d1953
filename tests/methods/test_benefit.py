"""Each method is better than plain training where it should be, on means over two seeds."""

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
import torch

from l2rw_ray.config import PlannedTrial
from l2rw_ray.data import ExampleSet, Splits, load_source, make_splits
from l2rw_ray.events import Event, Verdict
from l2rw_ray.training import train_trial
from tests.training.conftest import MakeTrial

_SIZES = {"source": "digits", "meta_per_class": 5, "validation_size": 0, "test_size": 250}
_DOMINATED = {**_SIZES, "train_size": 230, "bias": {"kind": "dominant_class", "level": 0.6, "class": 3}}
_NOISY = {**_SIZES, "train_size": 600, "noise": {"kind": "uniform", "rate": 0.4}}
_OPTIM = {"name": "sgd", "lr": 0.02, "momentum": 0.9, "batch_size": 50}

Draw = Callable[[PlannedTrial], Splits]


def _digits(trial: PlannedTrial) -> Splits:
    return make_splits(load_source(trial.config.data), trial.config.data, trial.seed)


def _score(trial: PlannedTrial, draw: Draw = _digits) -> float:
    """Balanced accuracy on the test set."""
    ended: list[Event] = []

    def emit(event: Event) -> Verdict:
        ended[:] = [event]
        return Verdict.CONTINUE

    trials = [replace(trial, seed=seed) for seed in (0, 1)]
    scores = []
    for seeded in trials:
        train_trial(seeded, draw(seeded), emit)
        scores.append(ended[0].metrics["test_balanced_accuracy"])
    return fmean(scores)


@pytest.fixture
def score(make_trial: MakeTrial) -> Callable[..., float]:
    def score(data: dict, epochs: int, draw: Draw = _digits, **method: Any) -> float:
        return _score(make_trial(data=data, method=method, optim={**_OPTIM, "epochs": epochs}), draw)

    return score


def test_under_a_dominant_class(score: Callable[..., float]) -> None:
    methods = ("inverse_frequency", "class_balanced", "resample", "focal", "ldam_drw", "ood_classifier")
    plain = score(_DOMINATED, 20, name="uniform")
    gained = {name: score(_DOMINATED, 20, name=name) - plain for name in methods}
    assert min(gained.values()) > 0.01, gained
    assert max(gained.values()) > 0.05, gained


def test_under_wrong_labels(score: Callable[..., float]) -> None:
    plain = score(_NOISY, 30, name="uniform")
    gained = {name: score(_NOISY, 30, name=name) - plain for name in ("finetune_meta", "meta_only")}
    gained["l2rw"] = score(_NOISY, 30, name="l2rw") - plain
    gained["meta_weight_net"] = score(_NOISY, 30, name="meta_weight_net", weight_decay=0.0) - plain
    for name in ("msp_filter", "mahalanobis_filter"):
        gained[name] = score(_NOISY, 30, name=name, first_epochs=10, drop_fraction=0.4) - plain
    assert min(gained.values()) > 0.02, gained


def _shortcut(trial: PlannedTrial) -> Splits:
    """Two classes, told apart by one feature with little noise in 95 % of train, by another in all of it.

    Test examples are of the few in whom the first feature misleads.
    """
    generator = torch.Generator().manual_seed(trial.seed)

    def draw(count: int, misled: int) -> ExampleSet:
        labels = torch.arange(count) % 2
        side = (2.0 * labels - 1)[:, None] * torch.ones(2)
        side[:misled, 0] *= -1
        features = side * torch.tensor([2.0, 1.0])
        features += torch.randn(count, 2, generator=generator) * torch.tensor([0.3, 0.7])
        zeros, scale = torch.zeros(count), torch.ones(2)
        return ExampleSet(features, labels, zeros.bool(), zeros.long(), mean=0 * scale, std=scale)

    train, meta, validation, test = draw(400, 20), draw(10, 0), draw(10, 0), draw(200, 200)
    return Splits(train, meta, validation, test, ("left", "right"), {})


def test_jtt_in_a_group_that_a_shortcut_misleads(score: Callable[..., float]) -> None:
    plain = score(_SIZES, 10, _shortcut, name="uniform")
    assert score(_SIZES, 10, _shortcut, name="jtt", upweight=20.0) > plain + 0.1
