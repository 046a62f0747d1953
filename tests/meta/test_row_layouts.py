"""Batches that have rows of examples where no check of ghost has seen them."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta import ReweightedStep
from tests.meta.row_cases import direction_of, exact_scores, graphs, mean_losses, rows, texts


@pytest.fixture(autouse=True)
def _in_double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class _Positions(nn.Module):
    """Words and positions, as in GPT-2."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions, self.head = nn.Embedding(9, 5), nn.Embedding(20, 5), nn.Linear(5, 3)

    def forward(self, words: Tensor) -> Tensor:
        where = torch.arange(words.shape[1])
        return self.head(torch.tanh(self.words(words) + self.positions(where)).mean(dim=1))


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


class _Matcher(nn.Module):
    """Compares inputs with a table of as many texts as a batch has examples."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.image = nn.Linear(5, 6), nn.Linear(4, 6)
        self.texts = torch.randn(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.image(x) @ torch.tanh(self.text(self.texts)).T


def _joined(train: Any, meta: Any) -> Any:
    return {name: torch.cat([train[name], meta[name]]) for name in train}


def _per_token(model: nn.Module, batch: Any) -> Tensor:
    """Divide by the words of the whole batch, as many trainers do."""
    return mean_losses(model, batch) / batch["x"].numel()


BATCHES = {
    "positions of joined batches": (_Positions, mean_losses, [texts(4, 5), texts(4, 6)], [5, 6]),
    "positions of the train batch": (_Positions, mean_losses, [texts(4, 5), texts(4, 4)], [6, 6]),
    "batches of one length or of two": (_Positions, _per_token, [texts(4, 5), texts(4, 7)], [8, 7]),
}


@pytest.mark.parametrize("estimator", ["auto", "per_example"])
@pytest.mark.parametrize("name", BATCHES)
def test_texts_of_another_length_are_scored_right(name: str, estimator: str) -> None:
    torch.manual_seed(0)
    make, losses, batches, lengths = BATCHES[name]
    model = make()
    collate = _joined if "joined" in name else None
    step = ReweightedStep(model, None, losses=losses, estimator=estimator, collate=collate)
    for batch, length in zip(batches, lengths, strict=True):
        meta = texts(2, length)
        expected = exact_scores(model, losses, batch, direction_of(model, losses, meta))
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-5, atol=1e-8)


def test_packed_rows_that_happen_to_be_a_multiple_of_the_batch_are_scored_right() -> None:
    torch.manual_seed(0)
    model = _Nodes()
    step = ReweightedStep(model, None, losses=mean_losses, collate=_joined)
    for counts in ([1, 2, 3, 5], [1, 5, 2, 1], [5, 1, 3, 2]):  # 6 examples with the meta batch's
        batch, meta = graphs(counts), graphs([1, 2])
        expected = exact_scores(model, mean_losses, batch, direction_of(model, mean_losses, meta))
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-5, atol=1e-8)


def _weighted_by_batch(model: nn.Module, batch: Any) -> Tensor:
    return mean_losses(model, batch) * batch["w"] / batch["w"].mean()


def test_losses_that_look_at_their_batch_are_not_given_another_one() -> None:
    """The first batches have the same mean, so that no check could tell."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    step = ReweightedStep(model, None, losses=_weighted_by_batch)
    for factor in (1.0, 1.0, 5.0):
        batch, meta = rows(4), rows(2)
        batch["w"], meta["w"] = factor * torch.tensor([1.0, 2.0, 3.0, 2.0]), torch.tensor([1.0, 3.0])
        expected = exact_scores(
            model, _weighted_by_batch, batch, direction_of(model, _weighted_by_batch, meta)
        )
        scored = step.score(batch, meta)
        torch.testing.assert_close(scored.scores, expected, rtol=1e-5, atol=1e-8)
        torch.testing.assert_close(scored.losses, _weighted_by_batch(model, batch))
        assert scored.certificate.estimator == "ghost"


def test_a_batch_that_passes_alone_with_an_earlier_direction_is_scored_right() -> None:
    torch.manual_seed(0)
    model, direction = _Matcher(), []
    step = ReweightedStep(model, None, losses=mean_losses, collate=_joined, meta_gradient_every=2)
    for number in range(4):
        batch, meta = rows(6, 6), rows(3, 6)
        direction = direction if number % 2 else direction_of(model, mean_losses, meta)
        expected = exact_scores(model, mean_losses, batch, direction)
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-5, atol=1e-8)


def test_batches_with_rows_in_the_same_places_are_not_checked() -> None:
    torch.manual_seed(0)
    step = ReweightedStep(_Positions(), None, losses=mean_losses, collate=_joined)
    first = step.score(texts(4, 5), texts(3, 5)).certificate
    for length in (6, 8, 9):
        assert step.score(texts(4, length), texts(3, length)).certificate is first
    assert step.score(texts(4, 7), texts(3, 7)).certificate is not first


class _Towers(nn.Module):
    """Users and items, and items that all examples share as negatives."""

    def __init__(self, negatives: list[range]) -> None:
        super().__init__()
        self.users, self.items, self.negatives = nn.Embedding(20, 5), nn.Embedding(30, 5), negatives

    def forward(self, pair: Tensor) -> Tensor:
        users, items = self.users(pair[:, 0]), self.items(pair[:, 1])
        others = [users @ self.items(torch.tensor(list(each))).T for each in self.negatives]
        return torch.cat([(users * items).sum(dim=1, keepdim=True), *others], dim=1)


@pytest.mark.parametrize("negatives", [[range(8)], [range(7), range(10, 18)]])
def test_a_layer_that_is_also_called_on_what_examples_share_is_scored_right(negatives: list[range]) -> None:
    torch.manual_seed(0)
    model = _Towers(negatives)
    step = ReweightedStep(model, None, losses=mean_losses, collate=_joined)
    for size in (8, 4, 8, 4):  # with the meta batch's, as many as there are negatives
        batch, meta = (
            {"x": torch.randint(20, (count, 2)), "y": torch.zeros(count, dtype=torch.long)}
            for count in (size, 4)
        )
        expected = exact_scores(model, mean_losses, batch, direction_of(model, mean_losses, meta))
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-5, atol=1e-8)


class _CountedTowers(_Towers):
    """Counts its forwards in a buffer."""

    def __init__(self) -> None:
        super().__init__([range(8)])
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, pair: Tensor) -> Tensor:
        self.calls.add_(1)
        return super().forward(pair)


def test_a_batch_that_is_refused_after_it_was_scored_leaves_buffers_as_they_were() -> None:
    torch.manual_seed(0)
    model = _CountedTowers()
    step = ReweightedStep(model, None, losses=mean_losses, collate=_joined, estimator="ghost")
    batches = {size: {"x": torch.randint(20, (size, 2)), "y": torch.zeros(size).long()} for size in (4, 6, 8)}
    step.score(batches[6], batches[4])
    with pytest.raises(UnsupportedModelError, match="differ from those of plain autograd"):
        step.score(batches[8], batches[4])
    assert model.calls == 1


class _Prompted(nn.Module):
    """Looks up a word of each example in training, and words that all share in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(30, 5), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self.head(x) * self.words(x[:, 0].abs().long())
        return self.head(x) @ self.words(torch.arange(8)).T


def test_a_change_of_mode_begins_anew() -> None:
    torch.manual_seed(0)
    model = _Prompted()
    step = ReweightedStep(model, None, losses=mean_losses, collate=_joined)
    for is_training, size in ((True, 8), (False, 8), (False, 4)):
        model.train(is_training)
        batch, meta = rows(size), rows(4)
        expected = exact_scores(model, mean_losses, batch, direction_of(model, mean_losses, meta))
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-5, atol=1e-8)


class _Unrolled(nn.Module):
    """Calls a layer on each word of its inputs, and then on words that all examples share."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.cell = nn.Embedding(30, 5), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.zeros(len(x), 5)
        for word in x.unbind(dim=1):
            hidden = torch.tanh(self.cell(hidden) + self.words(word))
        return hidden @ self.words(torch.arange(8)).T


def test_a_layer_that_is_called_varying_numbers_of_times_is_scored_right() -> None:
    torch.manual_seed(0)
    model = _Unrolled()
    step = ReweightedStep(model, None, losses=mean_losses, collate=_joined)
    for length, size in ((3, 4), (4, 4), (3, 6), (4, 6)):  # 8 examples with the meta batch's
        batch, meta = texts(size, length), texts(2, length)
        expected = exact_scores(model, mean_losses, batch, direction_of(model, mean_losses, meta))
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-5, atol=1e-8)
