"""Every method steps, learns, and goes on from its state; each is the method it says it is."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

import l2rw_ray.methods
from l2rw_ray.config import TrialConfig
from l2rw_ray.config.custom import IMPORT_PATH
from l2rw_ray.config.data.sources import DigitsData
from l2rw_ray.config.method.methods import MethodConfig
from l2rw_ray.config.overrides import variants_of
from l2rw_ray.data import Batch, MetaSampler, Splits, epoch_batches, load_source, make_splits
from l2rw_ray.methods import Epoch, Method, StagedMethod, TrainingContext, build_method
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.models import build_model
from tests.methods.weighted_digits import data_for
from tests.training.conftest import MakeTrial, results, train

WEIGHTED = {"random", "l2rw", "inverse_frequency", "class_balanced", "ldam_drw", "jtt", "ood_classifier"}
WEIGHTED |= {"meta_weight_net", "weight_model", "co_teaching"}
PLAIN = {"label_smoothing", "generalised_cross_entropy", "symmetric_cross_entropy", "logit_adjustment"}
PLAIN |= {"elr", "mixup", "sam"}
PLAIN |= {"uniform", "resample", "focal", "finetune_meta", "meta_only", "mahalanobis_filter", "msp_filter"}
"""Methods of which no example has a weight of its own within a batch."""
SLOW = {"generalised_cross_entropy", "symmetric_cross_entropy"}
"""Methods whose slopes are small while labels are unlikely, as at the start."""
CONFIGS = {
    name: TypeAdapter(MethodConfig).validate_python({"name": name}) for name in sorted(WEIGHTED | PLAIN)
}


@pytest.fixture(scope="module")
def splits() -> Splits:
    config = DigitsData(source="digits", train_size=60, meta_per_class=2)
    source = load_source(config)
    known = torch.randn(len(source.labels), 2, generator=torch.Generator().manual_seed(0))
    return make_splits(replace(source, weight_features=known), config, seed=0)


def _context(splits: Splits) -> TrainingContext:
    torch.manual_seed(0)
    model = build_model("mlp", (1, 8, 8), 10)
    return TrainingContext(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        loss_fn=nn.CrossEntropyLoss(reduction="none"),
        meta=MetaSampler(splits.meta, None, seed=0),
        train=splits.train,
        classes=10,
        epochs=8,
        batch_size=20,
        seed=0,
        restart=lambda: None,
    )


def _steps(splits: Splits, epochs: range) -> list[tuple[Batch, int]]:
    return [(batch, epoch) for epoch in epochs for batch in epoch_batches(splits.train, 20, 0, epoch)]


def test_every_configured_method_is_registered_once() -> None:
    configured = variants_of(TrialConfig, "method").classes.keys() - {IMPORT_PATH}
    assert METHODS.names() == tuple(sorted(configured))
    assert METHODS.names() == tuple(sorted([*CONFIGS, "heteroscedastic"])), "the last has tests of its own"
    with pytest.raises(ValueError, match="registered twice"):
        METHODS.register("l2rw")(lambda config, context: None)


@pytest.mark.parametrize("name", CONFIGS)
def test_method_learns_and_says_whether_it_weighs(name: str, make_trial: MakeTrial) -> None:
    epochs = 64 if name in SLOW else 16
    trial = make_trial(**data_for(name), method__name=name, optim__epochs=epochs, data__noise__rate=0.0)
    *_, last, ended = train(trial)
    assert last.metrics["validation_accuracy"] > 0.6
    assert (ended.steps, ended.epochs) == (3 * epochs, epochs)
    assert ("effective_sample_size" in ended.metrics) == (name in WEIGHTED)


@pytest.mark.parametrize("name", CONFIGS)
def test_method_goes_on_exactly_after_any_epoch(name: str, make_trial: MakeTrial, tmp_path: Path) -> None:
    trial = make_trial(**data_for(name), method__name=name, optim__epochs=4)
    undisturbed = results(train(trial))
    for epoch in range(1, 4):
        train(trial, checkpoints=tmp_path / str(epoch), stop_after=epoch)
        resumed = train(trial, checkpoints=tmp_path / str(epoch))
        assert results(resumed) == undisturbed[epoch:]


@pytest.mark.parametrize("name", CONFIGS)
def test_method_is_probed_without_a_trace(name: str, make_trial: MakeTrial) -> None:
    changes = {**data_for(name), "method__name": name, "optim__epochs": 3}
    probed = train(make_trial(**changes, measurement__probe_rounds=1))
    assert results(probed) == results(train(make_trial(**changes)))
    assert ("overhead_ratio" in probed[-1].metrics) == (name != "uniform")


def test_uniform_method_is_plain_training(splits: Splits) -> None:
    context, plain = _context(splits), _context(splits)
    method = build_method(CONFIGS["uniform"], context)
    for number, (batch, epoch) in enumerate(_steps(splits, range(2))):
        method.step(batch, number, epoch)
        plain.optimizer.zero_grad()
        nn.functional.cross_entropy(plain.model(batch.x), batch.y).backward()
        plain.optimizer.step()
    for parameter, other in zip(context.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(parameter, other)


def test_random_method_weighs_by_rectified_gaussians(splits: Splits) -> None:
    method = build_method(CONFIGS["random"], _context(splits))
    weights = [method.step(batch, 0, epoch).weights_B for batch, epoch in _steps(splits, range(40))]
    assert all(weight.sum().item() == pytest.approx(1) for weight in weights)
    together = torch.cat(weights)
    assert together.eq(0).double().mean().item() == pytest.approx(0.5, abs=0.04)
    positive = together[together > 0] * 20
    # of a half-normal: variance over squared mean is π/2 − 1
    assert (positive.var() / positive.mean() ** 2).item() == pytest.approx(torch.pi / 2 - 1, abs=0.1)


@pytest.mark.parametrize(
    ("old", "new"), [("Arm", Method), ("StagedArm", StagedMethod), ("build_arm", build_method)]
)
def test_former_names_give_the_renamed_class_and_a_warning(old: str, new: type) -> None:
    with pytest.warns(DeprecationWarning, match=rf"methods\.{old} is now l2rw_ray\.methods\.{new.__name__}$"):
        assert getattr(l2rw_ray.methods, old) is new
    with pytest.raises(AttributeError, match="has no attribute 'Leg'"):
        _ = l2rw_ray.methods.Leg


def test_the_former_keyword_of_an_epochs_metrics_gives_them_and_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match=r"is now Epoch\(metrics="):
        assert Epoch(figures={"a": 1.0}) == Epoch(metrics={"a": 1.0})
