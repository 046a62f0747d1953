"""The trial's loss: usable beside every method that has none of its own, and your own by an import path."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from l2rw_ray.config import parse_study
from l2rw_ray.data import epoch_batches, load_source, make_splits
from l2rw_ray.errors import ConfigError, InputError
from l2rw_ray.meta import example_scores
from l2rw_ray.training.task import task_loss
from tests.methods.conftest import built
from tests.training.conftest import MakeTrial

LOGITS = torch.randn(30, 10, generator=torch.manual_seed(0)) * 2
LABELS = torch.arange(30) % 10
P_LABEL = LOGITS.softmax(dim=1)[torch.arange(30), LABELS]
ENTROPY = nn.functional.cross_entropy(LOGITS, LABELS, reduction="none")
SMOOTHED = nn.functional.cross_entropy(LOGITS, LABELS, reduction="none", label_smoothing=0.2)


def losses(make_trial: MakeTrial, loss: Any) -> torch.Tensor:
    trial = make_trial(loss=loss)
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    return task_loss(trial.config, splits)(LOGITS, LABELS)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (None, ENTROPY),
        ("cross_entropy", ENTROPY),
        ({"name": "cross_entropy", "smoothing": 0.2}, SMOOTHED),
        ({"name": "cross_entropy", "class_weights": list(range(10))}, LABELS * ENTROPY),
        ({"name": "generalised_cross_entropy", "q": 0.5}, (1 - P_LABEL**0.5) / 0.5),
        ({"name": "focal", "gamma": 2}, (1 - P_LABEL) ** 2 * ENTROPY),
        ("symmetric_cross_entropy", 0.1 * ENTROPY + 4 * (1 - P_LABEL)),
    ],
)
def test_losses_by_name(make_trial: MakeTrial, loss: Any, expected: torch.Tensor) -> None:
    torch.testing.assert_close(losses(make_trial, loss), expected, rtol=1e-5, atol=1e-6)


def test_class_weights_balance_the_given_labels(make_trial: MakeTrial) -> None:
    loss = {"name": "cross_entropy", "class_weights": "inverse_frequency"}
    _, context = built(make_trial, loss=loss)
    labels = context.train.labels
    factors = context.loss_fn(torch.zeros(len(labels), 10), labels) / torch.tensor(10.0).log()
    assert factors.mean().item() == pytest.approx(1)
    by_class = torch.stack([factors[labels == label].sum() for label in labels.unique()])
    torch.testing.assert_close(by_class, by_class[:1].expand(len(by_class)))


def test_class_weights_of_classes_that_do_not_occur(make_trial: MakeTrial) -> None:
    loss = {"name": "cross_entropy", "class_weights": "inverse_frequency"}
    trial = make_trial(loss=loss)
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    labels = splits.train.labels.where(splits.train.labels != 3, 4)
    loss_fn = task_loss(trial.config, replace(splits, train=replace(splits.train, labels=labels)))
    factors = loss_fn(torch.zeros(len(labels), 10), labels) / torch.tensor(10.0).log()
    assert factors.mean().item() == pytest.approx(1)


def test_scores_are_those_of_the_loss(make_trial: MakeTrial) -> None:
    loss = {"name": "generalised_cross_entropy", "q": 0.7}
    method, context = built(make_trial, loss=loss, method={"name": "l2rw"})
    batch = next(epoch_batches(context.train, 20, 0, epoch=0))
    meta = context.meta.batch(0)
    expected = example_scores(
        context.model, context.loss_fn, (batch.x, batch.y), meta, estimator="second_order"
    )
    plain = nn.CrossEntropyLoss(reduction="none")
    other = example_scores(context.model, plain, (batch.x, batch.y), meta)
    outcome = method.step(batch, 0, 0)
    torch.testing.assert_close(outcome.scores_B, expected, rtol=1e-3, atol=1e-6)
    assert not torch.allclose(expected, other, rtol=1e-2)


def test_a_loss_of_your_own(make_trial: MakeTrial, write_code: Callable[[str, str], Path]) -> None:
    write_code(
        "own_losses.py",
        """
        from torch.nn import functional

        def halved(outputs, targets, factor=0.5):
            return factor * functional.cross_entropy(outputs, targets, reduction="none")

        def mean(outputs, targets):
            return functional.cross_entropy(outputs, targets)
        """,
    )
    torch.testing.assert_close(losses(make_trial, "own_losses:halved"), ENTROPY / 2)
    thrice = {"name": "own_losses:halved", "options": {"factor": 3}}
    torch.testing.assert_close(losses(make_trial, thrice), 3 * ENTROPY)
    with pytest.raises(InputError, match=r"loss = 'own_losses:mean': for 30 examples it returned shape \[\]"):
        losses(make_trial, "own_losses:mean")


@pytest.mark.parametrize(
    ("loss", "method", "line"),
    [
        ("absolute", "l2rw", "trial.loss = 'absolute': it is for a regression, the data have classes"),
        ("huber", "l2rw", "trial.loss.name = 'huber': unknown; use one of"),
        ({"name": "focal", "gama": 1}, "l2rw", "trial.loss.gama = 1: no such field; did you mean 'gamma'"),
        (
            "cross_entropy",
            "focal",
            "loss = 'cross_entropy': method 'focal' trains on a loss of its own",
        ),
    ],
)
def test_what_does_not_go_together(study_tree: dict, loss: Any, method: str, line: str) -> None:
    study_tree["trial"] |= {"loss": loss, "method": {"name": method}}
    study_tree["design"]["factors"] = {"optim.lr": [0.1, 0.2]}
    with pytest.raises(ConfigError, match=line):
        parse_study(study_tree)


def test_weights_of_other_classes(make_trial: MakeTrial) -> None:
    with pytest.raises(ConfigError, match=r"loss.class_weights = \[1.0, 2.0\]: 2 weights for 10 cl"):
        losses(make_trial, {"name": "cross_entropy", "class_weights": [1, 2]})
