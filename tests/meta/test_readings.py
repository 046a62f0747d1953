"""Batches whose shapes ghost reads otherwise than those checked, and other changes after the first step."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from l2rw_ray.errors import InputError
from l2rw_ray.meta import ReweightedStep

Losses = Callable[[nn.Module, Any], Tensor]


@pytest.fixture(autouse=True)
def _in_double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _mean_losses(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch["x"]), batch["y"], reduction="none")


def _exact(model: nn.Module, losses: Losses, batch: Any, direction: list[Tensor]) -> Tensor:
    """Scores by one backward for each example."""
    parameters = list(model.parameters())
    scores = []
    for loss in losses(model, batch):
        gradient = torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
        scores.append(sum(torch.sum(d * g) for d, g in zip(direction, gradient, strict=True)))
    return torch.stack(scores)


def _direction(model: nn.Module, losses: Losses, meta: Any) -> list[Tensor]:
    mean = losses(model, meta).mean()
    return list(torch.autograd.grad(mean, list(model.parameters()), materialize_grads=True))


class _Positions(nn.Module):
    """Words and positions, as in GPT-2."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions, self.head = nn.Embedding(9, 5), nn.Embedding(20, 5), nn.Linear(5, 3)

    def forward(self, words: Tensor) -> Tensor:
        where = torch.arange(words.shape[1])
        return self.head(torch.tanh(self.words(words) + self.positions(where)).mean(dim=1))


def _texts(size: int, length: int) -> dict[str, Tensor]:
    return {"x": torch.randint(9, (size, length)), "y": torch.randint(3, (size,))}


class _Nodes(nn.Module):
    """A sum over a graph's nodes, which are taken out of their padding."""

    def __init__(self) -> None:
        super().__init__()
        self.node, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        mask = x[..., 0] != 0
        owner = torch.arange(len(x)).unsqueeze(1).expand_as(mask)[mask]
        nodes = torch.relu(self.node(x[mask]))
        return self.head(nodes.new_zeros(len(x), 5).index_add(0, owner, nodes))


def _graphs(counts: list[int]) -> dict[str, Tensor]:
    mask = torch.arange(5) < torch.tensor(counts).unsqueeze(1)
    return {"x": torch.randn(len(counts), 5, 4) * mask.unsqueeze(2), "y": torch.randint(3, (len(counts),))}


class _Matcher(nn.Module):
    """Compares inputs with a table of as many texts as a batch has examples."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.image = nn.Linear(5, 6), nn.Linear(4, 6)
        self.texts = torch.randn(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.image(x) @ torch.tanh(self.text(self.texts)).T


def _rows(size: int, classes: int = 3) -> dict[str, Tensor]:
    return {"x": torch.randn(size, 4), "y": torch.randint(classes, (size,))}


def _per_token(model: nn.Module, batch: Any) -> Tensor:
    """Divide by the words of the whole batch, as many trainers do."""
    return _mean_losses(model, batch) / batch["x"].numel()


BATCHES = {
    "positions of joined batches": (_Positions, _mean_losses, [_texts(4, 5), _texts(4, 6)], [5, 6]),
    "positions of the train batch": (_Positions, _mean_losses, [_texts(4, 5), _texts(4, 4)], [6, 6]),
    "batches that can pass together": (_Positions, _per_token, [_texts(4, 5), _texts(4, 7)], [8, 7]),
}


@pytest.mark.parametrize("estimator", ["auto", "per_example"])
@pytest.mark.parametrize("name", BATCHES)
def test_texts_of_another_length_are_scored_right(name: str, estimator: str) -> None:
    torch.manual_seed(0)
    make, losses, batches, lengths = BATCHES[name]
    model = make()
    step = ReweightedStep(model, None, losses=losses, estimator=estimator)
    for batch, length in zip(batches, lengths, strict=True):
        meta = _texts(2, length)
        expected = _exact(model, losses, batch, _direction(model, losses, meta))
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-5, atol=1e-8)


def test_packed_rows_that_happen_to_be_a_multiple_of_the_batch_are_scored_right() -> None:
    torch.manual_seed(0)
    model = _Nodes()
    step = ReweightedStep(model, None, losses=_mean_losses)
    for counts in ([1, 2, 3, 5], [1, 5, 2, 1], [5, 1, 3, 2]):  # 6 examples with the meta batch's
        batch, meta = _graphs(counts), _graphs([1, 2])
        expected = _exact(model, _mean_losses, batch, _direction(model, _mean_losses, meta))
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-5, atol=1e-8)


def test_a_batch_that_passes_alone_with_an_earlier_direction_is_scored_right() -> None:
    torch.manual_seed(0)
    model, direction = _Matcher(), []
    step = ReweightedStep(model, None, losses=_mean_losses, meta_gradient_every=2)
    for number in range(4):
        batch, meta = _rows(6, 6), _rows(3, 6)
        direction = direction if number % 2 else _direction(model, _mean_losses, meta)
        expected = _exact(model, _mean_losses, batch, direction)
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-5, atol=1e-8)


def test_steps_that_read_shapes_alike_are_not_checked() -> None:
    torch.manual_seed(0)
    step = ReweightedStep(_Positions(), None, losses=_mean_losses)
    first = step.score(_texts(4, 5), _texts(3, 5)).certificate
    for length in (6, 8, 9):
        assert step.score(_texts(4, length), _texts(3, length)).certificate is first
    assert step.score(_texts(4, 7), _texts(3, 7)).certificate is not first


def test_numbers_in_a_list_belong_to_their_examples() -> None:
    """They may be equal in both batches."""

    def losses(model: nn.Module, batch: Any) -> Tensor:
        return torch.tensor(batch["importance"]) * _mean_losses(model, batch)

    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    batch, meta = ({**_rows(4), "importance": [1.0, 0.5, 2.0, 1.0]} for _ in range(2))
    expected = _exact(model, losses, batch, _direction(model, losses, meta))
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
    expected = ReweightedStep(model, None, losses=_mean_losses).score(batch, meta).scores
    torch.testing.assert_close(scores, expected)


def test_a_hook_that_is_registered_later_is_called() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    step = ReweightedStep(model, None, losses=_mean_losses)
    step.score(_rows(6), _rows(4))
    model.weight.register_hook(torch.zeros_like)
    step.score(_rows(6), _rows(4)).backward(torch.ones(6))
    assert model.weight.grad is not None
    assert not model.weight.grad.any()


def test_inference_mode_is_refused_at_later_steps_too() -> None:
    step = ReweightedStep(nn.Linear(4, 3), None, losses=_mean_losses)
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


@pytest.mark.parametrize("estimator", ["auto", "ghost", "per_example", "finite_difference"])
def test_a_reentrant_checkpoint_is_refused(estimator: str) -> None:
    step = ReweightedStep(_Checkpointed(), None, losses=_mean_losses, estimator=estimator)
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
            losses=_mean_losses,
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
        steps.append(ReweightedStep(model, optimizer, losses=_mean_losses, lookahead=name))
    steps[0](_rows(6), _rows(4))
    with pytest.raises(InputError, match=r"lookahead='optimizer'.*not 'zero'"):
        steps[1].load_state_dict(steps[0].state_dict())
    with pytest.raises(InputError, match="no state of a ReweightedStep"):
        steps[1].load_state_dict({})


@pytest.mark.parametrize("estimator", ["auto", "ghost", "finite_difference"])
def test_a_fault_of_the_meta_batch_is_told_as_torch_does(estimator: str) -> None:
    step = ReweightedStep(nn.Linear(4, 3), None, losses=_mean_losses, estimator=estimator)
    meta = _rows(4)
    meta["y"][0] = 11
    with pytest.raises(IndexError, match="Target 11 is out of bounds"):
        step.score(_rows(6), meta)


def test_a_collate_that_fails_is_named() -> None:
    def collate(train: Any, meta: Any) -> Any:
        raise KeyError("mask")

    step = ReweightedStep(nn.Linear(4, 3), None, losses=_mean_losses, collate=collate)
    with pytest.raises(InputError, match=r"collate = 'function': it fails .*KeyError: 'mask'"):
        step.score(_rows(6), _rows(4))
