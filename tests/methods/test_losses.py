"""Losses against wrong labels and imbalance, from their definitions on probabilities."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from l2rw_ray.data import epoch_batches
from l2rw_ray.methods.builtin.heteroscedastic import likelihood_loss
from l2rw_ray.methods.builtin.ldam_drw import ldam_loss, margins
from l2rw_ray.methods.builtin.logit_adjustment import adjusted_loss
from l2rw_ray.methods.robust.elr import regularised_losses
from l2rw_ray.methods.robust.losses import (
    generalised_cross_entropy,
    smoothed_cross_entropy,
    symmetric_cross_entropy,
)
from tests.methods.conftest import built
from tests.training.conftest import MakeTrial

CROSS_ENTROPY = nn.CrossEntropyLoss(reduction="none")
LOGITS = torch.randn(50, 4, generator=torch.manual_seed(0), dtype=torch.float64) * 3
LABELS = torch.arange(50) % 4
P = LOGITS.softmax(dim=1)
P_LABEL = P[torch.arange(50), LABELS]
COUNTS = torch.tensor([40.0, 6.0, 3.0, 1.0], dtype=torch.float64)
ONE_HOT = nn.functional.one_hot(LABELS, 4).double()


@pytest.mark.parametrize("q", [0.3, 0.7, 1.0])
def test_generalised_cross_entropy(q: float) -> None:
    losses = generalised_cross_entropy(CROSS_ENTROPY, q)(LOGITS, LABELS)
    torch.testing.assert_close(losses, (1 - P_LABEL**q) / q)


def test_generalised_cross_entropy_tends_to_cross_entropy() -> None:
    losses = generalised_cross_entropy(CROSS_ENTROPY, 1e-9)(LOGITS, LABELS)
    torch.testing.assert_close(losses, CROSS_ENTROPY(LOGITS, LABELS))


def test_symmetric_cross_entropy_is_the_sum_over_classes() -> None:
    reverse = -(P * torch.where(ONE_HOT > 0, ONE_HOT.clamp_min(1e-9).log(), -4.0)).sum(dim=1)
    losses = symmetric_cross_entropy(CROSS_ENTROPY, 0.1, 1.0, -4.0)(LOGITS, LABELS)
    torch.testing.assert_close(losses, 0.1 * -P_LABEL.log() + reverse)


def test_label_smoothing() -> None:
    smoothed = 0.8 * ONE_HOT + 0.2 / 4
    losses = smoothed_cross_entropy(0.2)(LOGITS, LABELS)
    torch.testing.assert_close(losses, -(smoothed * P.log()).sum(dim=1))


def test_logit_adjustment_is_the_posterior_under_the_class_shares() -> None:
    counts = torch.tensor([6.0, 3.0, 1.0, 0.0])
    shares = torch.tensor([6.0, 3.0, 1.0, 1.0], dtype=torch.float64) / 11
    posterior = P * shares / (P * shares).sum(dim=1, keepdim=True)
    losses = adjusted_loss(CROSS_ENTROPY, counts, 1.0)(LOGITS, LABELS)
    torch.testing.assert_close(losses, -posterior[torch.arange(50), LABELS].log(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["generalised_cross_entropy", "symmetric_cross_entropy"])
def test_a_hopeless_example_pulls_less_than_under_cross_entropy(name: str) -> None:
    logits = torch.tensor([[-40.0, 40.0]], requires_grad=True)
    loss = {
        "generalised_cross_entropy": generalised_cross_entropy(CROSS_ENTROPY, 0.7),
        "symmetric_cross_entropy": symmetric_cross_entropy(CROSS_ENTROPY, 0.1, 1.0, -4.0),
    }[name]
    loss(logits, torch.tensor([0])).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().max() <= 0.1 + 1e-6


@pytest.mark.parametrize(
    ("method", "loss_fn"),
    [
        ({"name": "label_smoothing", "smoothing": 0.3}, smoothed_cross_entropy(0.3)),
        ({"name": "generalised_cross_entropy", "q": 0.5}, generalised_cross_entropy(CROSS_ENTROPY, 0.5)),
        (
            {"name": "symmetric_cross_entropy", "alpha": 2, "beta": 0.5, "log_zero": -6},
            symmetric_cross_entropy(CROSS_ENTROPY, 2, 0.5, -6),
        ),
    ],
)
def test_methods_train_on_their_loss(make_trial: MakeTrial, method: dict, loss_fn) -> None:
    built_method, context = built(make_trial, method=method)
    batch = next(epoch_batches(context.train, 20, 0, epoch=0))
    expected = loss_fn(context.model(batch.x), batch.y).mean()
    assert built_method.step(batch, 0, 0).loss.item() == pytest.approx(expected.item())


HALF: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "logit adjustment": lambda logits: adjusted_loss(CROSS_ENTROPY, COUNTS, 1.0)(logits, LABELS),
    "ldam": lambda logits: ldam_loss(CROSS_ENTROPY, 30 * margins(COUNTS, 0.5))(logits, LABELS),
    "gaussian": lambda logits: likelihood_loss("gaussian", 0.5)(logits, LABELS.to(logits)),
    "elr": lambda logits: regularised_losses(CROSS_ENTROPY(logits.float(), LABELS), logits, P.float(), 3.0),
}


@pytest.mark.parametrize("name", HALF)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_of_outputs_in_half_precision_are_in_float32(name: str, dtype: torch.dtype) -> None:
    logits = LOGITS.to(dtype)
    losses = HALF[name](logits)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, HALF[name](logits.float()))
