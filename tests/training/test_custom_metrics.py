"""Metrics of the user's own: over the whole set, beside ours, and an error where there is no number."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from l2rw_ray.data import ExampleSet
from l2rw_ray.errors import ConfigError, NonFiniteError
from l2rw_ray.events import EpochCompleted, TrialEnded
from l2rw_ray.training import Ranks
from l2rw_ray.training.custom_metrics import compute_metrics
from l2rw_ray.training.evaluation import evaluate
from tests.training.conftest import MakeTrial, train

WriteCode = Callable[[str, str], Path]


def test_metrics_are_in_every_epoch_and_at_the_end(make_trial: MakeTrial, write_code: WriteCode) -> None:
    write_code(
        "own_metrics.py",
        """
        def again(outputs, targets):
            return (outputs.argmax(dim=1) == targets).double().mean()

        def classes(outputs, targets):
            return outputs.shape[1]
        """,
    )
    trial = make_trial(metrics=["own_metrics:again", "own_metrics:classes"])
    *_, epoch, ended = train(trial)
    assert isinstance(epoch, EpochCompleted)
    assert epoch.metrics["validation_again"] == pytest.approx(epoch.metrics["validation_accuracy"])
    assert "test_again" not in epoch.metrics, "selection never sees test"
    assert isinstance(ended, TrialEnded)
    assert ended.metrics["test_again"] == pytest.approx(ended.metrics["test_accuracy"])
    assert ended.metrics["test_classes"] == 10.0


def test_a_metric_sees_all_examples_at_once_in_order() -> None:
    torch.manual_seed(0)
    inputs, labels, zeros = torch.randn(700, 4), torch.randint(4, (700,)), torch.zeros(700)
    mean, std = torch.zeros(4), torch.ones(4)
    examples = ExampleSet(inputs, labels, zeros.bool(), zeros.long(), mean, std)
    model = nn.Linear(4, 4)
    seen = {}

    def note(outputs_NC: torch.Tensor, targets_N: torch.Tensor) -> float:
        seen.update(outputs=outputs_NC, targets=targets_N)
        return 0.25

    loss_fn = nn.CrossEntropyLoss(reduction="none")
    found = evaluate(model, examples, 4, loss_fn, Ranks(), {"own:note": note}).metrics
    assert found["note"] == 0.25
    torch.testing.assert_close(seen["outputs"], model(inputs).detach())
    assert torch.equal(seen["targets"], labels)


def test_an_integer_may_be_too_large() -> None:
    with pytest.raises(ConfigError, match="returned a int too large for a float; return it in a larger unit"):
        compute_metrics({"own:x": lambda outputs, targets: 10**5000}, torch.zeros(2, 2), torch.zeros(2))


@pytest.mark.parametrize(
    ("returned", "line"),
    [
        (None, "returned None, no number"),
        ({"a": 1}, "returned a dict, no number"),
        ("0.9", "returned a str, no number"),
        (torch.zeros(3), r"returned a tensor of shape \[3\], no number"),
    ],
)
def test_what_is_no_number_is_refused(returned: object, line: str) -> None:
    with pytest.raises(ConfigError, match=f"trial.metrics = 'own:x': {line}; return a float"):
        compute_metrics({"own:x": lambda outputs, targets: returned}, torch.zeros(2, 2), torch.zeros(2))


def test_nan_fails_the_trial_with_step_and_phase(make_trial: MakeTrial, write_code: WriteCode) -> None:
    write_code("own_metrics.py", "def nan(outputs, targets): return float('nan')")
    with pytest.raises(NonFiniteError, match="non-finite validation_nan at step 3: "):
        train(make_trial(metrics=["own_metrics:nan"]))
