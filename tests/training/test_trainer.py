"""One trial: its events, its reproducibility, its exact resumption."""

import json
import os
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score
from torch import nn

from l2rw_ray.data import ExampleSet
from l2rw_ray.errors import NonFiniteError
from l2rw_ray.events import EpochCompleted, TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.meta import ReweightedStep, StepResult
from l2rw_ray.methods import StepOutcome
from l2rw_ray.methods.builtin.l2rw import L2RWMethod
from l2rw_ray.training import Ranks
from l2rw_ray.training.evaluation import evaluate
from tests.training.conftest import MakeTrial, results, train

GOLDEN = Path(__file__).parents[1] / "golden" / "l2rw_digits_curve.json"


def test_events_come_in_order_and_say_what_happened(make_trial: MakeTrial) -> None:
    started, first, second, ended = train(make_trial())
    assert isinstance(started, TrialStarted)
    assert started.train_examples == sum(started.class_counts.values()) == 60
    assert set(started.split_hashes) == {"train", "meta", "validation", "test"}
    assert isinstance(first, EpochCompleted)
    assert isinstance(second, EpochCompleted)
    assert [(first.epoch, first.step), (second.epoch, second.step)] == [(1, 3), (2, 6)]
    assert isinstance(ended, TrialEnded)
    assert (ended.status, ended.epochs, ended.steps) == (TrialStatus.COMPLETED, 2, 6)
    assert {"test_balanced_accuracy", "validation_loss", "corrupted_auroc"} <= ended.metrics.keys()
    assert not any(name.startswith("test_") for name in second.metrics), "selection never sees test"


@pytest.mark.parametrize("method", ["uniform", "random", "l2rw"])
def test_result_does_not_depend_on_what_the_process_ran_before(make_trial: MakeTrial, method: str) -> None:
    trial = make_trial(method__name=method)
    first = results(train(trial))
    with pytest.raises(NonFiniteError):
        train(make_trial(optim__lr=1e20, model__name="lenet"))
    torch.manual_seed(99)
    torch.set_default_dtype(torch.float64)
    assert results(train(trial)) == first


def test_probe_changes_no_result_and_reports_the_overhead(make_trial: MakeTrial) -> None:
    trial = make_trial(method__update_every=2)
    probed = train(make_trial(method__update_every=2, measurement__probe_rounds=3))
    assert results(train(trial)) == results(probed)
    metrics = probed[-1].metrics
    assert metrics["overhead_ratio"] == metrics["step_time_s"] / metrics["step_time_plain_s"]
    assert metrics["phase_alignment_s"] > 0
    assert metrics["parameters"] > 1000


@pytest.mark.parametrize("between", ["hold", "uniform"])
def test_metrics_of_weights_are_those_of_the_last_epoch_that_computed_any(
    make_trial: MakeTrial, between: str
) -> None:
    seldom = {"name": "l2rw", "update_every": 5, "between": between}
    *_, epoch, ended = train(make_trial(method=seldom, optim__epochs=3))
    assert (epoch.step, epoch.epoch) == (9, 3), "steps 0 and 5 compute weights, none of the last epoch"
    assert "effective_sample_size" not in epoch.metrics
    assert {"effective_sample_size", "zero_weight_fraction", "skipped_fraction"} <= ended.metrics.keys()
    assert ended.metrics["corrupted_auroc"] != 0.5


_NOISES = [
    {"kind": "uniform", "rate": 0.4},
    {"kind": "background", "rate": 0.4, "class": 3},
    {"kind": "pair", "rate": 0.4},
    {
        "kind": "class_conditional",
        "matrix": [[0.0] * 9 + [1.0], *([float(i == j) for j in range(10)] for i in range(1, 10))],
    },
]


@pytest.mark.parametrize("noise", _NOISES, ids=lambda noise: noise["kind"])
def test_weights_tell_wrong_labels_of_any_kind(make_trial: MakeTrial, noise: dict) -> None:
    data = {"train_size": 400, "meta_per_class": 10, "noise": noise}
    changes = {f"data__{name}": value for name, value in data.items()}
    trial = make_trial(**changes, optim__epochs=5)
    found = [train(replace(trial, seed=seed))[-1].metrics["corrupted_auroc"] for seed in range(3)]
    assert 0.6 < fmean(found) < max(found) <= 1, "a single seed varies with the processor's rounding"


def test_two_classes_are_told_apart(make_trial: MakeTrial) -> None:
    bias = {"kind": "two_class", "majority": 9, "minority": 4, "ratio": 9}
    started, *_, ended = train(
        make_trial(data__bias=bias, data__train_size=100, data__noise={"kind": "none"})
    )
    assert started.class_counts == {"4": 10, "9": 90}
    assert ended.metrics["test_balanced_accuracy"] > 0.5
    assert "corrupted_auroc" not in ended.metrics


def test_a_corrupted_meta_set_changes_what_is_learnt(make_trial: MakeTrial) -> None:
    clean = results(train(make_trial()))
    for corrupted in (
        {"data__meta_noise": {"kind": "pair", "rate": 0.5}},
        {"data__meta_bias": {"kind": "dominant_class", "level": 0.5}},
    ):
        assert results(train(make_trial(**corrupted))) != clean


def test_probe_of_learned_weights_measures_their_steps_and_leaves_them_alone(make_trial: MakeTrial) -> None:
    method = {"name": "meta_weight_net", "update_every": 2}
    probed = train(make_trial(method=method, measurement__probe_rounds=2))
    assert results(train(make_trial(method=method))) == results(probed)
    metrics = probed[-1].metrics
    assert metrics["overhead_ratio"] == metrics["step_time_s"] / metrics["step_time_plain_s"]
    assert {"phase_alignment_s", "phase_meta_gradient_s", "phase_weights_s"} <= metrics.keys()
    assert {"mean_weight", "direction_cosine", "corrupted_auroc"} <= metrics.keys()


def test_probe_of_accumulated_steps_with_kept_directions(make_trial: MakeTrial) -> None:
    trial = make_trial(
        method__meta_gradient_every=2, optim__accumulation_steps=2, measurement__probe_rounds=2
    )
    ended = train(trial)[-1]
    assert ended.metrics["overhead_ratio"] > 0


def test_probed_steps_with_the_optimisers_lookahead_are_updates(
    make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a learning rate of 0 no example would move the meta loss, and every step would be skipped."""
    outcomes, own = [], L2RWMethod.step

    def step(self: L2RWMethod, *arguments, **named) -> StepOutcome:
        outcomes.append(own(self, *arguments, **named))
        return outcomes[-1]

    monkeypatch.setattr(L2RWMethod, "step", step)
    trial = make_trial(method__lookahead="optimizer", measurement__probe_rounds=2)
    trained = train(trial)[-1].steps
    probed = outcomes[:-trained]
    assert len(probed) >= 4
    assert not any(outcome.skipped for outcome in probed)


def test_meta_batches_of_steps_that_compute_weights_go_through_the_meta_set(
    make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted by steps of all kinds, every second batch of a meta set of two would be the same."""
    seen, own = [], ReweightedStep.__call__

    def step(self: ReweightedStep, train_batch, meta_batch, *arguments, **named) -> StepResult:
        result = own(self, train_batch, meta_batch, *arguments, **named)
        if result.scores is not None:
            seen.append({tuple(x.flatten().tolist()) for x in meta_batch[0]})
        return result

    monkeypatch.setattr(ReweightedStep, "__call__", step)
    train(make_trial(method={"name": "l2rw", "update_every": 2, "meta_batch_size": 10}, optim__epochs=4))
    assert [len(batch) for batch in seen] == [10] * 6
    for first, second in zip(seen[::2], seen[1::2], strict=True):
        assert not first & second
        assert first | second == seen[0] | seen[1], "the meta set"


_RESUMED = [
    {"name": "random"},
    {"name": "l2rw", "update_every": 2},
    {"name": "meta_weight_net", "update_every": 2, "meta_batch_size": 7},
]


@pytest.mark.parametrize("method", _RESUMED)
def test_stopped_trial_goes_on_exactly(make_trial: MakeTrial, tmp_path: Path, method: dict) -> None:
    trial = make_trial(method=method, optim__epochs=5, data__augment=["crop", "flip"])
    undisturbed = results(train(trial))
    stopped = train(trial, checkpoints=tmp_path, stop_after=2)
    assert stopped[-1].status is TrialStatus.STOPPED
    assert stopped[-1].epochs == 2
    resumed = train(trial, checkpoints=tmp_path)
    assert [event.epoch for event in resumed[0].history] == [1, 2]
    assert resumed[0].elapsed_s > 0
    resumed[1:1] = resumed[0].history
    assert results(resumed) == undisturbed
    assert resumed[-1].duration_s > stopped[-1].duration_s


@pytest.mark.parametrize("method", ["uniform", "l2rw"])
def test_loss_that_is_not_finite_fails_with_its_step(make_trial: MakeTrial, method: str) -> None:
    with pytest.raises(NonFiniteError, match=r"non-finite \w+ at step [0-5]: "):
        train(make_trial(method__name=method, optim__lr=1e20))


@pytest.mark.parametrize("method", ["uniform", "random", "l2rw"])
def test_divergence_at_the_last_step_fails_too(make_trial: MakeTrial, method: str) -> None:
    whole_set = make_trial(method__name=method, optim__lr=1e38, optim__batch_size=1000, optim__epochs=1)
    with pytest.raises(NonFiniteError, match="non-finite validation_loss at step 1: "):
        train(whole_set)


def test_evaluation_equals_scikit_learn() -> None:
    torch.manual_seed(0)
    inputs, labels = torch.randint(256, (700, 1, 2, 2)).byte(), torch.randint(4, (700,))
    zeros = torch.zeros(700)
    examples = ExampleSet(inputs, labels, zeros.bool(), zeros.long())
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
    found = evaluate(model, examples, 4, nn.CrossEntropyLoss(reduction="none"), Ranks()).metrics
    x, y = examples.take(torch.arange(700))
    logits = model(x).detach()
    predicted = logits.argmax(dim=1)
    assert found["accuracy"] == pytest.approx(accuracy_score(y, predicted))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, predicted))
    assert found["worst_class_accuracy"] == pytest.approx(recall_score(y, predicted, average=None).min())
    assert found["loss"] == pytest.approx(nn.functional.cross_entropy(logits, y).item())
    assert model.training


def test_seeded_curve_is_the_golden_one(make_trial: MakeTrial) -> None:
    """`L2RW_REGENERATE_GOLDEN=1 python -m pytest tests/training` accepts the present curve."""
    trial = make_trial(optim__epochs=6)
    epochs = [event for event in train(trial) if isinstance(event, EpochCompleted)]
    curve = [epoch.metrics["weighted_train_loss"] for epoch in epochs]
    if os.environ.get("L2RW_REGENERATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(curve, indent=1) + "\n")
    assert curve == pytest.approx(json.loads(GOLDEN.read_text()), rel=1e-4)
