"""Trials on a table of numbers and categories."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from l2rw_ray.config import PlannedTrial
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.errors import InputError
from l2rw_ray.preflight.category_summary import summarise_categories
from l2rw_ray.training import TrainingOptions, load_model, train_trial
from tests.gloo_ranks import run_on_ranks
from tests.methods.parallel_methods import run_rank
from tests.methods.test_conformance import SHORT
from tests.training.conftest import MakeTrial, results, train
from tests.training.killing import DeathError, differences, raise_at, trained

METHODS = ("uniform", "l2rw", "meta_weight_net", "mahalanobis_filter")
Trial = Callable[..., PlannedTrial]


@pytest.fixture
def table_trial(make_trial: MakeTrial, tmp_path: Path) -> Trial:
    """Trials on rows whose class follows from a category and the sign of a number."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(500, generator=generator)
    kinds = torch.randint(3, (500,), generator=generator)
    labels = (kinds == 0) ^ (numbers > 0)
    rows = {
        "x": numbers.tolist(),
        "kind": [("a", "b", None)[kind] for kind in kinds],
        "label": labels.int().tolist(),
    }
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")

    def make(method: str = "l2rw", **changes: Any) -> PlannedTrial:
        table = {"source": "parquet", "train": str(tmp_path / "rows.parquet"), "train_size": 200}
        table |= {"features": ["x"], "categorical": ["kind"], "validation_size": 60, "test_size": 80}
        optim = {"name": "adam", "lr": 0.02, "batch_size": 20, "epochs": 3}
        section = {"name": method} | SHORT.get(method, {})
        model = {"name": "mlp", "width": 16}
        return make_trial(**{"data": table, "optim": optim, "method": section, "model": model} | changes)

    return make


@pytest.mark.parametrize("categories", ["one_hot", "embedding"])
def test_both_ways_learn_by_exact_scores(table_trial: Trial, categories: str) -> None:
    model = {"name": "mlp", "width": 16, "categories": categories}
    *_, epoch, ended = train(table_trial(model=model, optim__epochs=20, data__meta_per_class=40))
    assert ended.metrics["test_balanced_accuracy"] > 0.85
    assert epoch.estimator_used == "ghost"


@pytest.mark.parametrize("method", METHODS)
def test_methods_resume_exactly(table_trial: Trial, tmp_path: Path, method: str) -> None:
    trial = table_trial(method)
    undisturbed = trained(trial)
    with pytest.raises(DeathError):
        trained(trial, tmp_path, at_step=raise_at(15))
    assert not differences(trained(trial, tmp_path), undisturbed)


def test_two_ranks_equal_one_process(table_trial: Trial, tmp_path: Path) -> None:
    trials = {name: table_trial(name) for name in METHODS}
    together = run_on_ranks(run_rank, 2, tmp_path, trials)
    for name, trial in trials.items():
        alone = [metrics for _, _, metrics in results(train(trial))]
        for metrics, expected in zip(together[name], alone, strict=True):
            assert metrics == pytest.approx(expected, rel=1e-4, abs=1e-6), name


def test_a_kept_model_takes_new_rows(table_trial: Trial, tmp_path: Path) -> None:
    trial, file = table_trial("uniform", optim__epochs=20), tmp_path / "models" / "a.pt"
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    train_trial(trial, splits, lambda event: None, TrainingOptions(model_file=file))
    saved = load_model(file)
    rows = [
        {"x": 1.5, "kind": "a"},
        {"x": 1.5, "kind": "b"},
        {"x": -1.5, "kind": None},
        {"x": 1, "kind": "new"},
    ]
    inputs = saved.encode(rows)
    assert inputs["categories"].tolist() == [[2], [3], [0], [1]]
    with torch.no_grad():
        assert saved.network(inputs).argmax(dim=1).tolist()[:3] == [0, 1, 0]


def test_they_are_summarised(table_trial: Trial) -> None:
    config = table_trial().config.data
    (column,) = summarise_categories(make_splits(load_source(config), config, 0))
    assert (column.name, column.values) == ("kind", 2)
    assert 0.2 < column.missing["train"] < 0.5
    assert not any(column.unseen.values())


@pytest.mark.parametrize("categories", ["one_hot", "embedding"])
def test_categories_are_not_mixed(table_trial: Trial, categories: str) -> None:
    line = "method.name = 'mixup': categories have no mean to train on; compare other methods"
    with pytest.raises(InputError, match=line):
        table_trial("mixup", model={"name": "mlp", "categories": categories})


def test_embeddings_without_categories_are_refused(make_trial: MakeTrial) -> None:
    with pytest.raises(InputError, match="the data have no categories; leave it out, or name"):
        make_trial(model={"name": "mlp", "categories": "embedding"})
    with pytest.raises(InputError, match="categories are one_hot; set categories: embedding"):
        make_trial(model={"name": "mlp", "category_width": 4})
