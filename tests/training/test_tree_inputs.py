"""Trials on inputs that are a tree of tensors, with a model that takes the tree."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from l2rw_ray import example_scores, example_weights
from l2rw_ray.config import PlannedTrial
from l2rw_ray.config.custom import IMPORT_PATH
from l2rw_ray.data import epoch_batches, load_source, make_splits
from l2rw_ray.errors import ConfigError, InputError
from l2rw_ray.methods import build_method
from l2rw_ray.planning.timing_probe import probe_trials
from l2rw_ray.preflight.data_check import check_data
from l2rw_ray.training import Ranks, SavedModel, load_model, save_model
from l2rw_ray.training.context import build_context
from tests.gloo_ranks import run_on_ranks
from tests.methods.parallel_methods import resume_on_rank, run_rank
from tests.methods.test_conformance import SECTIONS, SHORT
from tests.training import texts
from tests.training.conftest import MakeTrial, results, train
from tests.training.killing import DeathError, differences, raise_at, trained

WITHOUT = {IMPORT_PATH, "mixup"}
METHODS = [name for name, section in SECTIONS.items() if name not in WITHOUT and not section.needs_targets]
PARALLEL = ("uniform", "l2rw", "meta_weight_net", "weight_model", "resample", "mahalanobis_filter")
DATA = {"source": texts.SOURCE, "train_size": 130, "meta_per_class": 5, "validation_size": 60}
Text = Callable[..., PlannedTrial]


@pytest.fixture
def text_trial(make_trial: MakeTrial) -> Text:
    """Trials of a method on texts of which 30 % are mislabelled."""

    def make(method: str, **changes: Any) -> PlannedTrial:
        section = {"name": method} | SHORT.get(method, {})
        noisy = DATA | {"test_size": 60, "noise": {"kind": "uniform", "rate": 0.3}}
        usual = {"data": noisy, "model": {"name": texts.MODEL}, "method": section, "optim__epochs": 3}
        return make_trial(**usual | changes)

    return make


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_resumes_exactly(text_trial: Text, tmp_path: Path, method: str) -> None:
    trial = text_trial(method)
    undisturbed = trained(trial)
    assert {"test_balanced_accuracy", "test_loss"} <= undisturbed.results[-1][2].keys()
    with pytest.raises(DeathError):
        trained(trial, tmp_path, at_step=raise_at(10))
    resumed = trained(trial, tmp_path)
    assert 0 < min(resumed.drawn) <= 10
    assert not differences(resumed, undisturbed)


def test_mixtures_of_token_ids_are_refused(text_trial: Text) -> None:
    with pytest.raises(InputError, match=r"method.name = 'mixup': inputs in int64 have no mean to train on"):
        train(text_trial("mixup"))


def test_it_learns(text_trial: Text) -> None:
    optim = {"name": "adam", "lr": 0.02, "batch_size": 20, "epochs": 40}
    data = DATA | {"options": {"examples": 900}, "train_size": 600, "test_size": 100}
    *_, (_, _, metrics) = results(train(text_trial("l2rw", optim=optim, data=data)))
    assert metrics["test_balanced_accuracy"] > 0.8


def test_first_weights_are_those_of_the_core(text_trial: Text) -> None:
    trial = text_trial("l2rw")
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    context = build_context(trial, splits, Ranks(), torch.device("cpu"))
    batch = next(epoch_batches(splits.train, 20, trial.seed, epoch=0))
    assert {name: (part.dtype, part.shape) for name, part in batch.x.items()} == {
        "input_ids": (torch.int64, (20, texts.LONGEST)),
        "attention_mask": (torch.bool, (20, texts.LONGEST)),
    }
    meta = context.meta.batch(0)
    scores_B = example_scores(context.model, context.loss_fn, (batch.x, batch.y), meta)
    expected_B = example_weights(scores_B)
    assert 0 < (expected_B > 0).sum() < 20
    outcome = build_method(trial.config.method, context).step(batch, 0, 0)
    torch.testing.assert_close(outcome.weights_B, expected_B)


def test_two_ranks_equal_one_process_and_resume_exactly(text_trial: Text, tmp_path: Path) -> None:
    trials = {name: text_trial(name) for name in PARALLEL}
    (tmp_path / "together").mkdir()
    together = run_on_ranks(run_rank, 2, tmp_path / "together", trials)
    for name, trial in trials.items():
        alone = [metrics for _, _, metrics in results(train(trial))]
        for metrics, expected in zip(together[name], alone, strict=True):
            assert metrics == pytest.approx(expected, rel=1e-4, abs=1e-6), name
    resumed = {name: trials[name] for name in ("l2rw", "mahalanobis_filter")}
    for name, found in run_on_ranks(resume_on_rank, 2, tmp_path, resumed, tmp_path / "checkpoints").items():
        assert found["differing"] == [[], []], name
        assert 0 < found["resumed from"] <= found["killed in"], name


def test_targets_are_learned(text_trial: Text) -> None:
    data = DATA | {
        "source": texts.TARGETS,
        "options": {"below": 0.5},
        "noise": {"kind": "gaussian", "scale": 1},
    }
    *_, (_, _, metrics) = results(train(text_trial("l2rw", data=data)))
    assert metrics["test_rmse"] > 0
    assert metrics["left_out_examples"] > 0


def test_overhead_is_probed_and_time_estimated(text_trial: Text) -> None:
    trial = text_trial("l2rw", measurement__probe_rounds=1)
    *_, ended = train(trial)
    assert ended.metrics["overhead_ratio"] > 0
    assert ended.metrics["peak_memory_bytes"] > 0
    assert probe_trials([trial]).trial_s > 0


def test_a_model_is_checked_before_and_saved_after(text_trial: Text, tmp_path: Path) -> None:
    trial = text_trial("uniform")
    check_data([trial])
    inputs = texts.tokens(4)
    network = texts.build(dict.fromkeys(inputs, (texts.LONGEST,)), 3)
    shapes = {"input_ids": (texts.LONGEST,), "attention_mask": (texts.LONGEST,)}
    save_model(tmp_path / "a.pt", SavedModel(network, trial.config, shapes, 3, ("a", "b", "c"), {}))
    loaded = load_model(tmp_path / "a.pt", own_code=True)
    assert loaded.input_shape == shapes
    assert torch.equal(loaded.network(inputs), network.eval()(inputs))


@pytest.mark.parametrize("model", ["mlp", "lenet", "resnet18"])
def test_a_model_of_one_tensor_is_refused(text_trial: Text, model: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_data([text_trial("uniform", model={"name": model})])
    remedy = "name a model of your own as module.path:attribute"
    assert str(raised.value) == f"model.name = '{model}': inputs are a dict, it takes one tensor; {remedy}"
