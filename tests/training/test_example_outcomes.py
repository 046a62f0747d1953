"""Outcomes of test examples: in order of classes or of the set, on one rank or several."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from l2rw_ray.data import ExampleSet
from l2rw_ray.events import TrialEnded
from l2rw_ray.methods.losses import squared_error
from l2rw_ray.training import Ranks, example_outcomes
from l2rw_ray.training.evaluation import evaluate
from l2rw_ray.training.example_outcomes import OutcomeRecorder
from tests.training.conftest import MakeTrial, train

CROSS_ENTROPY = nn.CrossEntropyLoss(reduction="none")


@pytest.fixture
def examples() -> ExampleSet:
    torch.manual_seed(0)
    inputs, labels = torch.randint(256, (700, 1, 2, 2)).byte(), torch.randint(3, (700,))
    return ExampleSet(inputs, labels, torch.zeros(700).bool(), torch.zeros(700).long())


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 4))


def test_bits_are_in_order_of_true_classes(examples: ExampleSet, model: nn.Module) -> None:
    found = evaluate(model, examples, 4, CROSS_ENTROPY, Ranks(), keep_outcomes=True).outcomes
    x, y = examples.take(torch.arange(700))
    right = (model(x).argmax(dim=1) == y).numpy()
    expected = np.concatenate([right[y.numpy() == label] for label in range(4)])
    bits = np.unpackbits(np.frombuffer(found.correct, np.uint8), count=700).astype(bool)
    assert (bits == expected).all()
    assert found.class_counts == (*y.bincount().tolist(), 0)
    assert len(found.correct) == 88


def test_nothing_is_kept_unless_asked_for(examples: ExampleSet, model: nn.Module) -> None:
    assert evaluate(model, examples, 4, CROSS_ENTROPY, Ranks()).outcomes is None


def test_nothing_is_kept_of_a_set_that_is_too_large(
    examples: ExampleSet, model: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example_outcomes, "MAX_EXAMPLES", 699)
    assert evaluate(model, examples, 4, CROSS_ENTROPY, Ranks(), keep_outcomes=True).outcomes is None


def test_errors_are_in_the_unit_of_the_target() -> None:
    torch.manual_seed(0)
    count = 600
    zeros, targets = torch.zeros(count), 200_000 + 50_000 * torch.randn(count)
    examples = ExampleSet(
        torch.randn(count, 4),
        zeros.long(),
        zeros.bool(),
        zeros.long(),
        mean=torch.zeros(4),
        std=torch.ones(4),
        targets=targets,
        target_mean=torch.tensor(190_000.0),
        target_std=torch.tensor(40_000.0),
    )
    found = evaluate(nn.Linear(4, 2), examples, 1, squared_error, Ranks(), keep_outcomes=True)
    errors = np.frombuffer(found.outcomes.errors, "<f4")
    assert len(errors) == count
    assert np.sqrt(np.square(errors.astype(float)).mean()) == pytest.approx(found.metrics["rmse"], rel=1e-6)
    assert np.abs(errors).mean() == pytest.approx(found.metrics["mae"], rel=1e-5)
    assert (found.outcomes.correct, found.outcomes.class_counts) == (b"", ())


def test_ranks_give_what_one_process_gives(examples: ExampleSet) -> None:
    torch.manual_seed(2)
    logits, y = torch.randn(700, 3), examples.labels

    class Both(Ranks):
        def gather(self, value):
            return [firsts, value]

    whole, first, second = (OutcomeRecorder(examples, 3) for _ in range(3))
    whole.add(logits, y)
    first.add(logits[:350], y[:350])
    firsts = first._parts
    second.add(logits[350:], y[350:])
    assert second.gather(Both()) == whole.gather(Ranks())


def test_seeds_that_draw_the_same_rows_in_another_order_agree_on_each(examples: ExampleSet) -> None:
    """A test file drawn whole by `test_size` is in another order at each seed, under the same hash."""
    torch.manual_seed(3)
    numbers, logits, order = torch.randperm(5000)[:700], torch.randn(700, 3), torch.randperm(700)
    one = replace(examples, rows=numbers)
    other = replace(examples, rows=numbers[order], labels=examples.labels[order])
    found = []
    for drawn, output in ((one, logits), (other, logits[order])):
        recorder = OutcomeRecorder(drawn, 3)
        recorder.add(output, drawn.labels)
        found.append(recorder.gather(Ranks()))
    assert found[0] == found[1]
    ascending = numbers.argsort()
    right, y = (logits.argmax(dim=1) == examples.labels)[ascending], examples.labels[ascending]
    expected = torch.cat([right[y == label] for label in range(3)])
    assert found[0].correct == np.packbits(expected.numpy()).tobytes()


def test_errors_of_the_same_rows_in_another_order_agree(examples: ExampleSet) -> None:
    torch.manual_seed(4)
    order, output, targets = torch.randperm(700), torch.randn(700, 1), torch.randn(700)
    found = []
    for at in (torch.arange(700), order):
        drawn = replace(examples, rows=at, labels=examples.labels[at], target_std=torch.tensor(2.0))
        recorder = OutcomeRecorder(drawn, 1)
        recorder.add(output[at], targets[at])
        found.append(np.frombuffer(recorder.gather(Ranks()).errors, "<f4"))
    assert (found[0] == found[1]).all()
    assert found[0] == pytest.approx(2 * (output[:, 0] - targets).numpy(), rel=1e-6)


def test_a_trial_tells_what_became_of_its_test_examples(make_trial: MakeTrial) -> None:
    *_, ended = train(make_trial(method={"name": "uniform"}, optim__epochs=1))
    assert isinstance(ended, TrialEnded)
    counts = ended.outcomes.class_counts
    assert counts == tuple(map(sum, ended.confusion.counts))
    bits = np.unpackbits(np.frombuffer(ended.outcomes.correct, np.uint8), count=sum(counts))
    assert bits.mean() == pytest.approx(ended.metrics["test_accuracy"])
    recalls = [part.mean() for part in np.split(bits, np.cumsum(counts)[:-1])]
    assert np.mean(recalls) == pytest.approx(ended.metrics["test_balanced_accuracy"])
