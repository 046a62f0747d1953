"""Trials on a table of which somebody verified some labels, or targets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from l2rw_ray.config import PlannedTrial
from l2rw_ray.data import load_source, make_splits
from tests.gloo_ranks import run_on_ranks
from tests.methods.parallel_methods import run_rank
from tests.methods.test_conformance import SHORT
from tests.training.conftest import MakeTrial, results, train
from tests.training.killing import DeathError, differences, raise_at, trained

METHODS = ("uniform", "l2rw", "jtt", "finetune_meta")
LABELS = {"verified_label": "checked", "meta_per_class": 20}
TARGETS = {"target": "price", "verified_target": "paid", "meta_per_class": 2}
Trial = Callable[..., PlannedTrial]


@pytest.fixture
def verified_trial(make_trial: MakeTrial, tmp_path: Path) -> Trial:
    """Trials on 600 rows whose class is the sign of a number: 30 % of the labels wrong, half verified."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(600, generator=generator)
    true = numbers > 0
    given = true ^ (torch.rand(600, generator=generator) < 0.3)
    verified = torch.rand(600, generator=generator) < 0.5
    rows = {
        "x": numbers.tolist(),
        "label": given.int().tolist(),
        "checked": [int(label) if is_known else None for label, is_known in zip(true, verified, strict=True)],
        "price": (numbers + 4 * (given ^ true)).tolist(),
        "paid": [float(x) if is_known else None for x, is_known in zip(numbers, verified, strict=True)],
    }
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")

    table = {"source": "parquet", "train": str(tmp_path / "rows.parquet"), "features": ["x"]}
    table |= {"validation_size": 60, "test_size": 80}

    def make(method: str = "l2rw", answer: Any = LABELS, **changes: Any) -> PlannedTrial:
        optim = {"name": "adam", "lr": 0.02, "batch_size": 20, "epochs": 3}
        section = {"name": method} | SHORT.get(method, {})
        model = {"name": "mlp", "width": 16}
        return make_trial(
            **{"data": table | answer, "optim": optim, "method": section, "model": model} | changes
        )

    return make


def test_weights_are_judged_by_labels_that_are_known(verified_trial: Trial) -> None:
    trial = verified_trial()
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    started, *_, epoch, ended = train(trial)
    noise = started.known_noise
    assert noise.examples == 600 - int(load_source(trial.config.data).verified.logical_not().sum())
    assert 0.25 < noise.wrong / noise.examples < 0.35
    assert noise.train_examples == int((~splits.train.unverified).sum()) < len(splits.train)
    assert noise.train_wrong == int(splits.train.corrupted.sum()) > 0
    assert epoch.metrics["corrupted_auroc"] > 0.8
    assert ended.metrics["test_balanced_accuracy"] > 0.9
    counts = [sum(part) for part in (epoch.weights.clean, epoch.weights.corrupted, epoch.weights.unverified)]
    assert counts == [
        int(part.sum()) for part in (splits.train.clean, splits.train.corrupted, splits.train.unverified)
    ]


def test_targets_train_as_given_and_are_tested_as_verified(verified_trial: Trial, study_tree: dict) -> None:
    study_tree["objective"] = {"metric": "validation_rmse", "mode": "min"}
    started, *_, ended = train(verified_trial("uniform", TARGETS, optim__epochs=20))
    assert 1.0 < started.known_noise.rmse < 3.0
    assert started.known_noise.confusion is None
    assert ended.metrics["test_rmse"] > 0.5, "the given targets are too large by 1.2 on average"


@pytest.mark.parametrize("method", METHODS)
def test_methods_resume_exactly(verified_trial: Trial, tmp_path: Path, method: str) -> None:
    trial = verified_trial(method)
    undisturbed = trained(trial)
    with pytest.raises(DeathError):
        trained(trial, tmp_path, at_step=raise_at(25))
    assert not differences(trained(trial, tmp_path), undisturbed)


def test_two_ranks_equal_one_process(verified_trial: Trial, tmp_path: Path) -> None:
    trials = {name: verified_trial(name) for name in METHODS}
    together = run_on_ranks(run_rank, 2, tmp_path, trials)
    for name, trial in trials.items():
        alone = [metrics for _, _, metrics in results(train(trial))]
        for metrics, expected in zip(together[name], alone, strict=True):
            assert metrics == pytest.approx(expected, rel=1e-4, abs=1e-6), name
