"""Rows that models move between layers, out of the examples' order from some batch on."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.meta import ReweightedStep
from l2rw_ray.meta.alignment.row_owners import RowOwners
from tests.meta.row_cases import Losses, direction_of, exact_scores, graphs, mean_losses, rows, texts


@pytest.fixture(autouse=True)
def _in_double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _by_mask(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    owner = torch.arange(len(x)).unsqueeze(1).expand_as(mask)
    return x[mask], owner[mask]


def _by_flat_index(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """As attention without padding takes tokens out of a batch."""
    kept = torch.nonzero(mask.flatten(), as_tuple=False).flatten()
    return torch.index_select(x.flatten(0, 1), 0, kept), kept // mask.shape[1]


def _by_two_indices(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    example, place = mask.nonzero(as_tuple=True)
    return x[example, place], example


def _by_parts(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    counts = mask.sum(dim=1).tolist()
    packed = torch.cat([row[:count] for row, count in zip(x, counts, strict=True)])
    return packed, torch.arange(len(x)).repeat_interleave(torch.tensor(counts))


def _by_masked_select(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    owner = torch.arange(len(x)).unsqueeze(1).expand_as(mask)
    return x.masked_select(mask.unsqueeze(2)).view(-1, x.shape[2]), owner[mask]


class _Packed(nn.Module):
    """A sum over a graph's nodes, with layers before and after they are taken out of their padding."""

    def __init__(self, pack: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.lift, self.node, self.head = nn.Linear(4, 4), nn.Linear(4, 5), nn.Linear(5, 3)
        self.pack = pack

    def forward(self, x: Tensor) -> Tensor:
        nodes, owner = self.pack(torch.tanh(self.lift(x)), x[..., 0] != 0)
        nodes = torch.relu(self.node(torch.tanh(nodes)))
        return self.head(nodes.new_zeros(len(x), 5).index_add(0, owner, nodes))


_PACKERS = [_by_mask, _by_flat_index, _by_two_indices, _by_parts, _by_masked_select]


@pytest.mark.parametrize("size", [2, 1])
@pytest.mark.parametrize("pack", _PACKERS)
def test_rows_that_are_packed_equally_at_first_are_scored_right_later(
    pack: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], size: int
) -> None:
    """Shapes and the checks so far allow for rows that belong to another example."""
    torch.manual_seed(0)
    model = _Packed(pack)
    step = ReweightedStep(model, None, losses=mean_losses)
    estimators = []
    for counts in ([size] * 4, [size] * 4, [size + 1, size - 1, size, size], [2 * size, 0, 0, 2 * size]):
        batch, meta = graphs(counts), graphs([1, 3])
        expected = exact_scores(model, mean_losses, batch, direction_of(model, mean_losses, meta))
        scored = step.score(batch, meta)
        torch.testing.assert_close(scored.scores, expected, rtol=1e-3, atol=1e-5)
        estimators.append(scored.certificate.estimator)
    assert estimators[:2] == ["ghost"] * 2, "equally many rows of each are read by their shape"
    assert "ghost" not in estimators[2:]


_SORTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "index": lambda x, order: x[order],
    "index and slice": lambda x, order: x[order, :],
    "named arguments": lambda x, order: torch.index_select(input=x, dim=0, index=order),
    "gather": lambda x, order: torch.gather(x, dim=0, index=order.unsqueeze(1).expand_as(x)),
    "take_along_dim": lambda x, order: x.take_along_dim(order.unsqueeze(1).expand_as(x), dim=0),
}


class _SortedLater(nn.Module):
    """Sorts its examples by length, which the first batches are already."""

    def __init__(self, sort: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.head, self.sort = nn.Linear(4, 5), nn.Linear(5, 3), sort

    def forward(self, x: Tensor) -> Tensor:
        order = x[:, 0].argsort(descending=True, stable=True)
        h = torch.tanh(self.inner(self.sort(x, order)))
        return self.head(self.sort(h, order.argsort()))


def _scores_as_lengths_change(model: nn.Module, losses: Losses = mean_losses) -> list[str]:
    """Compare scores of batches whose examples are in order of their length at first; return estimators."""
    step, estimators = ReweightedStep(model, None, losses=losses), []
    for lengths in (
        [6.0, 5.0, 4.0, 3.0, 2.0, 1.0],
        [6.0, 6.0, 5.0, 4.0, 3.0, 1.0],
        [2.0, 1.0, 4.0, 6.0, 3.0, 5.0],
    ):
        batch, meta = rows(6), rows(5)
        batch["x"][:, 0], meta["x"][:, 0] = torch.tensor(lengths), torch.arange(5, 0, -1.0)
        expected = exact_scores(model, losses, batch, direction_of(model, losses, meta))
        scored = step.score(batch, meta)
        torch.testing.assert_close(scored.scores, expected, rtol=1e-3, atol=1e-5)
        estimators.append(scored.certificate.estimator)
    return estimators


@pytest.mark.parametrize("sort", _SORTS)
def test_rows_that_are_sorted_from_some_batch_on_are_scored_right(sort: str) -> None:
    torch.manual_seed(0)
    _scores_as_lengths_change(_SortedLater(_SORTS[sort]))


_MOVES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    **_SORTS,
    "of converted inputs": lambda x, order: x.float()[order].double(),
    "setitem": lambda x, order: _set(torch.zeros_like(x), order, x),
    "setitem of a slice": lambda x, order: _set(torch.zeros_like(x), slice(None), x[order]),
    "index_put": lambda x, order: torch.zeros_like(x).index_put((order,), x),
    "index_put_": lambda x, order: torch.zeros_like(x).index_put_((order,), values=x),
    "index_copy": lambda x, order: torch.zeros_like(x).index_copy(0, order, x),
    "index_add": lambda x, order: torch.zeros_like(x).index_add(0, order, x),
    "index_add_": lambda x, order: torch.zeros_like(x).index_add_(dim=0, index=order, source=x),
    "scatter": lambda x, order: torch.zeros_like(x).scatter(0, order.unsqueeze(1).expand_as(x), x),
    "scatter_add": lambda x, order: torch.zeros_like(x).scatter_add(0, order.unsqueeze(1).expand_as(x), x),
    "masked_scatter": lambda x, order: torch.zeros_like(x).masked_scatter(
        torch.ones_like(x).bool(), x[order]
    ),
    "embedding": lambda x, order: functional.embedding(order, x),
    "take": lambda x, order: x.take(order.unsqueeze(1) * x.shape[1] + torch.arange(x.shape[1])),
    "stack of rows": lambda x, order: torch.stack([x[place] for place in order.tolist()]),
    "stack of unbound rows": lambda x, order: torch.stack([x.unbind()[place] for place in order.tolist()]),
    "cat of rows": lambda x, order: torch.cat([x[place : place + 1] for place in order.tolist()]),
    "vstack": lambda x, order: torch.vstack([list(x)[place] for place in order.tolist()]),
    "hstack": lambda x, order: torch.hstack([x[place] for place in order.tolist()]).view(len(x), -1),
    "pad_sequence": lambda x, order: nn.utils.rnn.pad_sequence(
        [x[i] for i in order.tolist()], batch_first=True
    ),
    "halves": lambda x, order: torch.cat(x.chunk(2)[:: 1 if order[0] == 0 else -1]),
    "slices": lambda x, order: torch.cat([x[order[0] :], x[: order[0]]]),
    "split": lambda x, order: torch.cat(x.split([int(order[0]), len(x) - int(order[0])])[::-1]),
    "narrow": lambda x, order: torch.cat([x.narrow(0, int(i), 1) for i in order]),
    "select": lambda x, order: torch.stack([x.select(0, int(i)) for i in order]),
    "roll": lambda x, order: x.roll(int(order[0]), 0),
    "flip": lambda x, order: x if order[0] == 0 else x.flip(0),
    "matrix": lambda x, order: torch.eye(len(x))[order] @ x,
    "mm": lambda x, order: torch.mm(functional.one_hot(order).to(x), x),
    "later dimension": lambda x, order: x.unsqueeze(0).expand(5, -1, -1)[:, order].mean(dim=0),
    "index_select, later": lambda x, order: x.expand(5, *x.shape).index_select(1, order)[0],
    "transposed": lambda x, order: x[order].T.contiguous().T,
    "reshaped": lambda x, order: x[order].reshape(1, -1).reshape(x.shape),
    "sum with others": lambda x, order: x + x[order],
    "index after others": lambda x, order: x.expand(5, *x.shape)[..., order, :][0],
    "named input": lambda x, order: torch.index_add(input=torch.zeros_like(x), dim=0, index=order, source=x),
    "operator": lambda x, order: torch.ops.aten.index_select(x, 0, order),
    "product from the right": lambda x, order: (x.T @ torch.eye(len(x))[:, order]).T,
    "linear": lambda x, order: functional.linear(x.T, torch.eye(len(x))[order]).T,
    "sparse matrix": lambda x, order: torch.sparse.mm(torch.eye(len(x))[order].to_sparse(), x),
    "einsum": lambda x, order: torch.einsum("ij,jd->id", torch.eye(len(x))[order], x),
    "written views": lambda x, order: _written(x, order, lambda rows, value: rows.copy_(value)),
    "assigned views": lambda x, order: _written(x, order, lambda rows, value: _set(rows, slice(None), value)),
    "written flat view": lambda x, order: _by_flat_view(x, order),
    "sorted": lambda x, order: x if order[0] == 0 else x.sort(dim=0).values,
    "only where it is out of order": lambda x, order: x if (order.diff() > 0).all() else x[order],
}


def _written(x: Tensor, order: Tensor, write: Callable[[Tensor, Tensor], Any]) -> Tensor:
    """Put rows one by one into views of another tensor."""
    into = torch.zeros_like(x)
    for place, index in enumerate(order.tolist()):
        write(into[place], x[index])
    return into


def _by_flat_view(x: Tensor, order: Tensor) -> Tensor:
    into = torch.zeros(len(x), 1, x.shape[1])
    into.view(x.shape)[order] = x
    return into.squeeze(1)


def _set(into: Tensor, index: Any, values: Tensor) -> Tensor:
    into[index] = values
    return into


class _MovedLater(nn.Module):
    """Moves activations between two layers, where it leaves the first batches' in order."""

    def __init__(self, move: Callable[[Tensor, Tensor], Tensor], width: int = 5) -> None:
        super().__init__()
        self.inner, self.head, self.move = nn.Linear(4, width), nn.Linear(width, 3), move

    def forward(self, x: Tensor) -> Tensor:
        order = x[:, 0].argsort(descending=True, stable=True)
        return self.head(self.move(torch.tanh(self.inner(x)), order))


_TRANSPOSED = {
    "later dimension",
    "index_select, later",
    "index after others",
    "linear",
    "product from the right",
}
_AS_WIDE_AS_THE_BATCH = set(_MOVES) - _TRANSPOSED
_ALWAYS_REFUSED = ("sum with others", "sorted", "einsum")


@pytest.mark.parametrize(
    ("move", "width"),
    [*((move, 5) for move in _MOVES), *((move, 6) for move in sorted(_AS_WIDE_AS_THE_BATCH))],
)
def test_rows_that_are_moved_from_some_batch_on_are_scored_right(move: str, width: int) -> None:
    torch.manual_seed(0)
    estimators = _scores_as_lengths_change(_MovedLater(_MOVES[move], width))
    if move not in _ALWAYS_REFUSED:
        assert estimators[:2] == ["ghost"] * 2
    assert estimators[2] != "ghost"


@pytest.mark.parametrize("move", ["index", "halves", "slices", "stack of rows"])
def test_rows_that_are_moved_in_joined_batches_are_scored_right(move: str) -> None:
    """Train and meta batch have as many examples, so that a half of both is one of them."""
    torch.manual_seed(0)
    model = _MovedLater(_MOVES[move])
    loss_fn = nn.CrossEntropyLoss(reduction="none")
    step = ReweightedStep(model, None, loss_fn=loss_fn)
    for lengths in (
        [12.0, 11.0, 10.0, 9.0, 8.0, 7.0],
        [13.0, 11.0, 10.0, 9.0, 8.0, 7.0],
        [8.0, 7, 9, 12, 10, 11],
    ):
        batch, meta = rows(6), rows(6)
        batch["x"][:, 0], meta["x"][:, 0] = torch.tensor(lengths), torch.arange(6, 0, -1)
        expected = exact_scores(model, mean_losses, batch, direction_of(model, mean_losses, meta))
        scored = step.score((batch["x"], batch["y"]), (meta["x"], meta["y"]))
        torch.testing.assert_close(scored.scores, expected, rtol=1e-3, atol=1e-5)
    assert scored.certificate.estimator != "ghost"


def test_rows_with_separators_between_them_are_scored_right() -> None:
    """As many rows as can be two of each example, which they are not."""

    class Separated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            h, length = torch.tanh(self.inner(x)), x[:, 0].long().tolist()
            parts = [h[i : i + 1].expand(n, -1) for i, n in enumerate(length)]
            mark, counts = torch.zeros(1, 5), torch.tensor(length)
            packed = torch.cat([part for each in parts for part in (each, mark)])
            owner = torch.arange(len(x)).repeat_interleave(counts + 1)
            return torch.zeros(len(x), 3).index_add(0, owner, self.head(packed))

    torch.manual_seed(0)
    step = ReweightedStep(model := Separated(), None, losses=mean_losses)
    for lengths in ([1.0] * 4, [1.0] * 4, [2.0, 1.0, 0.0, 1.0]):
        batch, meta = rows(4), rows(4)
        batch["x"][:, 0], meta["x"][:, 0] = torch.tensor(lengths), torch.ones(4)
        expected = exact_scores(model, mean_losses, batch, direction_of(model, mean_losses, meta))
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-3, atol=1e-5)


def test_mixtures_within_the_batch_leave_ghost_in_use() -> None:
    torch.manual_seed(0)
    model, order = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), torch.tensor([2, 0, 3, 1])

    def mixed(network: nn.Module, batch: Any) -> Tensor:
        x, others = batch["x"], order[: len(batch["x"])] % len(batch["x"])
        output = network(0.7 * x + 0.3 * x[others])
        own, other = (
            functional.cross_entropy(output, y, reduction="none") for y in (batch["y"], batch["y"][others])
        )
        return 0.7 * own + 0.3 * other

    step = ReweightedStep(model, None, losses=mixed, estimator="ghost")
    for _ in range(2):
        batch, meta = rows(4), rows(2)
        expected = exact_scores(model, mixed, batch, direction_of(model, mixed, meta))
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-5, atol=1e-8)


def test_losses_that_return_their_rows_in_another_order_are_scored_right() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)

    def by_size(network: nn.Module, batch: Any) -> Tensor:
        return mean_losses(network, batch)[batch["x"][:, 0].argsort(stable=True)]

    step = ReweightedStep(model, None, losses=by_size)
    for number in range(3):
        batch, meta = rows(4), rows(2)
        if number < 2:
            batch["x"][:, 0] = torch.arange(4.0)
        expected = exact_scores(model, by_size, batch, direction_of(model, by_size, meta))
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-3, atol=1e-5)


def test_masks_and_indices_that_keep_the_order_leave_ghost_in_use() -> None:
    class Last(nn.Module):
        """Reads the last word of each text, as decoders that classify do, and words two at a time."""

        def __init__(self) -> None:
            super().__init__()
            self.words, self.pairs, self.head = nn.Embedding(9, 6), nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, words: Tensor) -> Tensor:
            h, count = torch.tanh(self.words(words)), words.shape[1]
            last = h[torch.arange(len(words)), torch.full((len(words),), count - 1)]
            is_last = (torch.arange(count) == count - 1).expand(words.shape)
            last = last + torch.eye(12, 6)[words[:, 0]]  # a table that the examples share
            last = last + torch.vmap(lambda row, place: row[place])(h, words[:, 0] % count)
            last = last + h.masked_select(is_last.unsqueeze(2)).view(-1, 6)
            assert torch.repeat_interleave(words[:, 0]).ndim == 1
            kept = self.pairs(h[:, torch.tensor([0, 2])].flatten(0, 1)).view(len(words), 2, 6)
            return self.head(last + self.pairs(h[is_last]) + kept.sum(dim=1))

    torch.manual_seed(0)
    model = Last()
    step = ReweightedStep(model, None, losses=mean_losses, estimator="ghost")
    for length in (5, 6):
        batch, meta = texts(4, length), texts(2, length)
        expected = exact_scores(model, mean_losses, batch, direction_of(model, mean_losses, meta))
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-5, atol=1e-8)


_RESTORED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "index": lambda x, order: x[order][order.argsort()],
    "index_copy": lambda x, order: torch.zeros_like(x).index_copy(0, order, x[order]),
    "index_add": lambda x, order: torch.zeros_like(x).index_add(0, order, x[order]),
    "rows": lambda x, order: torch.stack(list(x)),
    "matrix": lambda x, order: torch.eye(len(x))[order.argsort()] @ x[order],
    "packed": lambda x, order: _set(torch.zeros_like(x), x[:, :1].squeeze(1) > -9, x[x[:, 0] > -9]),
    "sequence first": lambda x, order: x.expand(5, *x.shape)[:, order][:, order.argsort()][0],
    "constants": lambda x, order: x + x.detach()[order],
    "halves": lambda x, order: torch.cat([x[:2], torch.relu(x[2:])]),
    "groups": lambda x, order: _by_domain(x, order),
    "products": lambda x, order: torch.stack([torch.ones(2) @ row.expand(2, -1) for row in x]),
    "sums by name": lambda x, order: torch.stack([torch.einsum("td->d", row.expand(2, -1)) for row in x]),
    "means": lambda x, order: torch.stack([row.expand(3, -1).mean(dim=0) for row in x]),
    "sums": lambda x, order: x + torch.stack([row.pow(2).sum() for row in x]).unsqueeze(1),
}


def _by_domain(x: Tensor, order: Tensor) -> Tensor:
    """Treat two groups of examples differently."""
    is_first = x[:, 0] > 0
    result = torch.zeros_like(x)
    result[is_first], result[~is_first] = torch.relu(x[is_first]), 0.5 * x[~is_first]
    return result


@pytest.mark.parametrize("width", [5, 6])
@pytest.mark.parametrize("move", _RESTORED)
def test_rows_that_are_put_back_in_order_leave_ghost_in_use(move: str, width: int) -> None:
    torch.manual_seed(0)
    assert _scores_as_lengths_change(_MovedLater(_RESTORED[move], width)) == ["ghost"] * 3


def _mixed_by_parts(x: Tensor, order: Tensor) -> Tensor:
    """As CutMix does."""
    mixed = x.clone()
    mixed[:, 1:3] = x[order, 1:3]
    return mixed


_INPUTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mixed": lambda x, order: 0.7 * x + 0.3 * x[order],
    "mixed by parts": _mixed_by_parts,
    "looked up in a table": lambda x, order: torch.arange(48.0).sin().view(12, 4)[x[:, 0].long()],
    "one hot": lambda x, order: torch.eye(12)[x[:, 0].long(), :4] + x,
    "cut": lambda x, order: x[:, [0, 2, 1, 3]],
    "joined into a buffer": lambda x, order: torch.cat([x[:2], x[2:]], out=torch.empty(0)),
}


@pytest.mark.parametrize("change", _INPUTS)
def test_changes_of_inputs_leave_ghost_in_use(change: str) -> None:
    class Changed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            order = x[:, 0].argsort(descending=True, stable=True)
            return self.head(torch.tanh(self.inner(_INPUTS[change](x, order))))

    torch.manual_seed(0)
    assert _scores_as_lengths_change(Changed()) == ["ghost"] * 3


def test_buffers_that_are_given_for_results_keep_their_values() -> None:
    x = torch.randn(6, 4)
    buffer = torch.empty(6, 4)
    with RowOwners(x):
        torch.cat([x[3:], x[:3]], out=buffer)
    torch.testing.assert_close(buffer, x.roll(3, 0))


@pytest.mark.parametrize("size", [2, 3])
def test_few_examples_with_unequally_many_rows_are_scored_right(size: int) -> None:
    class Ragged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            counts = (x[..., 0] != 0).sum(dim=1).tolist()
            rows = torch.tanh(self.inner(torch.cat([each[:n] for each, n in zip(x, counts, strict=True)])))
            return self.head(torch.stack([part.sum(dim=0) for part in rows.split(counts)]))

    torch.manual_seed(0)
    step = ReweightedStep(model := Ragged(), None, losses=mean_losses)
    for counts in ([2] * size, [2] * size, [3, 1, *[2] * (size - 2)]):
        batch, meta = graphs(counts), graphs([2] * size)
        expected = exact_scores(model, mean_losses, batch, direction_of(model, mean_losses, meta))
        torch.testing.assert_close(step.score(batch, meta).scores, expected, rtol=1e-3, atol=1e-5)


def test_losses_that_are_taken_one_by_one_are_scored_right() -> None:
    def one_by_one(network: nn.Module, batch: Any) -> Tensor:
        losses = mean_losses(network, batch)
        return torch.stack([losses[place] for place in batch["x"][:, 0].argsort(descending=True).tolist()])

    torch.manual_seed(0)
    _scores_as_lengths_change(nn.Linear(4, 3), one_by_one)
