"""What loops, losses and models do that would give wrong numbers without a word."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from l2rw_ray.errors import InputError
from l2rw_ray.meta import ReweightedStep, example_scores, example_weights
from tests.meta.zoo.reference import true_scores


@pytest.fixture(autouse=True)
def _in_double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _losses(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch["x"]), batch["y"], reduction="none")


def _rows(size: int) -> dict[str, Tensor]:
    return {"x": torch.randn(size, 4), "y": torch.randint(3, (size,))}


def test_numbers_in_a_list_belong_to_their_examples() -> None:
    """They may be equal in both batches."""

    def losses(model: nn.Module, batch: Any) -> Tensor:
        return torch.tensor(batch["importance"]) * _losses(model, batch)

    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    batch, meta = ({**_rows(4), "importance": [1.0, 0.5, 2.0, 1.0]} for _ in range(2))
    expected = true_scores(model, losses, batch, meta)
    scored = ReweightedStep(model, None, losses=losses).score(batch, meta)
    torch.testing.assert_close(scored.scores, expected)


def test_losses_may_take_the_labels_out_of_a_dict() -> None:
    def losses(model: nn.Module, batch: Any) -> Tensor:
        labels = batch.pop("y")
        return functional.cross_entropy(model(**batch), labels, reduction="none")

    class Named(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    torch.manual_seed(0)
    model, batch, meta = Named(4, 3), _rows(6), _rows(4)
    scores = ReweightedStep(model, None, losses=losses).score(batch, meta).scores
    assert set(batch) == set(meta) == {"x", "y"}
    expected = ReweightedStep(model, None, losses=_losses).score(batch, meta).scores
    torch.testing.assert_close(scores, expected)


def test_a_hook_that_is_registered_later_is_called() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    step = ReweightedStep(model, None, losses=_losses)
    step.score(_rows(6), _rows(4))
    model.weight.register_hook(torch.zeros_like)
    step.score(_rows(6), _rows(4)).backward(torch.ones(6))
    assert model.weight.grad is not None
    assert not model.weight.grad.any()


def test_inference_mode_is_refused_at_later_steps_too() -> None:
    step = ReweightedStep(nn.Linear(4, 3), None, losses=_losses)
    step.score(_rows(6), _rows(4))
    with torch.inference_mode(), pytest.raises(InputError, match="no gradient can be taken"):
        step.score(_rows(6), _rows(4))


class _Checkpointed(nn.Module):
    """Checkpoints a block whose input depends on no trained parameter, as LoRA on a frozen embedding does."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = checkpoint(self.block, x.clone().requires_grad_(), use_reentrant=True)
        return self.head(torch.tanh(hidden))


@pytest.mark.parametrize("verify_every", [500, 0])
@pytest.mark.parametrize("estimator", ["auto", "ghost", "per_example", "finite_difference"])
def test_a_reentrant_checkpoint_is_refused(estimator: str, verify_every: int) -> None:
    step = ReweightedStep(
        _Checkpointed(), None, losses=_losses, estimator=estimator, verify_every=verify_every
    )
    with pytest.raises(InputError, match=r"use_reentrant=True.*pass use_reentrant=False"):
        step.score(_rows(6), _rows(4))


class _Averaging(nn.Module):
    """Subtracts a running mean that its forward writes before it reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.mean.mul_(0.5).add_(0.5 * x.mean(dim=0))
        return self.head(x - self.mean)


@pytest.mark.parametrize("lookahead", ["zero", "sgd"])
def test_the_meta_loss_is_that_of_the_buffers_before_the_step(lookahead: str) -> None:
    found = []
    for estimator in ("second_order", "per_example"):
        torch.manual_seed(0)
        model = _Averaging()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        step = ReweightedStep(
            model,
            optimizer,
            losses=_losses,
            estimator=estimator,
            lookahead=lookahead,
            epsilon=0.0 if lookahead == "zero" else 1.0,
        )
        found.append([step(_rows(6), _rows(4)).scores for _ in range(2)])
    torch.testing.assert_close(*found)


def test_a_state_of_other_options_is_refused() -> None:
    steps = []
    for name in ("optimizer", "zero"):
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        steps.append(ReweightedStep(model, optimizer, losses=_losses, lookahead=name))
    steps[0](_rows(6), _rows(4))
    with pytest.raises(InputError, match=r"lookahead='optimizer'.*not 'zero'"):
        steps[1].load_state_dict(steps[0].state_dict())
    with pytest.raises(InputError, match="no state of a ReweightedStep"):
        steps[1].load_state_dict({})


@pytest.mark.parametrize("what", ["train", "meta"])
@pytest.mark.parametrize("verify_every", [500, 0])
@pytest.mark.parametrize("estimator", ["auto", "ghost", "finite_difference"])
def test_a_fault_of_a_batch_is_told_as_torch_does(estimator: str, verify_every: int, what: str) -> None:
    model = nn.Linear(4, 3)
    step = ReweightedStep(model, None, losses=_losses, estimator=estimator, verify_every=verify_every)
    used, batches = step.estimator, {"train": _rows(6), "meta": _rows(4)}
    batches[what]["y"][0] = 11
    with pytest.raises(IndexError, match="Target 11 is out of bounds"):
        step.score(*batches.values())
    assert step.estimator == used, "the estimator was not at fault"


def test_arguments_of_the_wrong_kind_are_one_line() -> None:
    model = nn.Linear(4, 3)
    scored = ReweightedStep(model, None, losses=_losses).score(_rows(5), _rows(3))
    with pytest.raises(InputError, match="scaler = 'int': no GradScaler"):
        scored.backward(scaler=3)
    with pytest.raises(InputError, match=r"weights = \[5, 1\]: not one number for each example"):
        scored.backward(torch.ones(5, 1))
    for epsilon in ([0.1] * 5, torch.zeros(3), torch.tensor(0.1)):
        with pytest.raises(InputError, match=r"epsilon_B = .*; give one for each of 5 examples"):
            example_scores(model, None, _rows(5), _rows(3), losses=_losses, epsilon_B=epsilon)


def test_a_collate_that_fails_is_named() -> None:
    def collate(train: Any, meta: Any) -> Any:
        raise KeyError("mask")

    step = ReweightedStep(nn.Linear(4, 3), None, losses=_losses, collate=collate)
    with pytest.raises(InputError, match=r"collate = 'function': it fails .*KeyError: 'mask'"):
        step.score(_rows(6), _rows(4))


def test_a_collate_that_runs_out_of_memory_says_so() -> None:
    def collate(train: Any, meta: Any) -> Any:
        raise torch.OutOfMemoryError("no memory left")

    step = ReweightedStep(nn.Linear(4, 3), None, losses=_losses, collate=collate)
    with pytest.raises(torch.OutOfMemoryError):
        step.score(_rows(6), _rows(4))


def test_another_estimator_of_a_loaded_state_is_checked_first() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    step = ReweightedStep(model, None, losses=_losses)
    first = step.score(_rows(6), _rows(4)).certificate
    state = step.state_dict()
    step.load_state_dict(state)
    assert step.score(_rows(6), _rows(4)).certificate is first
    step.load_state_dict(state | {"estimator": state["estimator"] | {"candidates": 1}})
    assert step.score(_rows(6), _rows(4)).certificate.estimator == step.estimator == "per_example"


def test_scores_in_float16_do_not_overflow_in_their_sum() -> None:
    weights = example_weights(torch.full((600,), 200.0, dtype=torch.float16))
    torch.testing.assert_close(weights.sum(dtype=torch.float32).item(), 1.0, rtol=1e-3, atol=0)


class _Centred(nn.Module):
    """Centres its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.below, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.below(x)
        return self.head(torch.tanh(hidden - hidden.mean(dim=0)))


@pytest.mark.parametrize("what", ["zero head", "single example", "zero losses"])
def test_a_check_that_can_show_nothing_is_repeated(what: str) -> None:
    def losses(model: nn.Module, batch: Any) -> Tensor:
        return batch["w"] * _losses(model, batch)

    torch.manual_seed(0)
    model = _Centred()
    if what == "zero head":
        nn.init.zeros_(model.head.weight)
    step = ReweightedStep(model, None, losses=losses)
    first = _rows(1 if what == "single example" else 6)
    first["w"] = torch.full((len(first["x"]),), float(what != "zero losses"))
    meta = {**_rows(4), "w": torch.ones(4)}
    assert not step.score(first, meta).certificate.is_conclusive
    nn.init.normal_(model.head.weight)
    batch = {**_rows(6), "w": torch.ones(6)}
    scored = step.score(batch, meta)
    assert scored.certificate.is_conclusive
    torch.testing.assert_close(scored.scores, true_scores(model, losses, batch, meta), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("estimator", ["ghost", "per_example"])
def test_a_batch_without_examples_has_no_scores(estimator: str) -> None:
    step = ReweightedStep(nn.Linear(4, 3), None, losses=_losses, estimator=estimator)
    assert step.score(_rows(0), _rows(4)).scores.shape == (0,)


def test_a_loss_of_pairs_over_its_batch_is_that_of_each_batch() -> None:
    """Also where batches with equal shares of classes, in which it is a factor of one, come first."""

    def balanced(output: Tensor, target: Tensor) -> Tensor:
        counts = torch.bincount(target, minlength=3).double()
        return functional.cross_entropy(output, target, reduction="none") / counts[target] * counts.mean()

    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    step = ReweightedStep(model, None, balanced)
    labels = [(torch.arange(6) % 3, torch.arange(3)), (torch.randint(3, (6,)), torch.randint(3, (4,)))]
    for own, clean in labels:
        batch, meta = (torch.randn(6, 4), own), (torch.randn(len(clean), 4), clean)
        expected = true_scores(model, lambda net, pair: balanced(net(pair[0]), pair[1]), batch, meta)
        torch.testing.assert_close(step.score(batch, meta).scores, expected)
    assert step.estimator == "ghost"
