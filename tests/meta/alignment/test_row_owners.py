"""Owners of rows that functions have moved, compared with values that say whose they are."""

import random
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from l2rw_ray.meta.alignment import row_owners
from l2rw_ray.meta.alignment.row_owners import RowOwners
from tests.meta.alignment.layers.exact import LOSS, losses_of

SIZE = 6


@pytest.fixture(autouse=True)
def _any_algorithm() -> Iterator[None]:
    """Allow `put`, which has no deterministic implementation."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
    yield
    torch.use_deterministic_algorithms(before)


def _set(into: Tensor, index: Any, values: Tensor) -> Tensor:
    into[index] = values
    return into


def _wide(order: Tensor, x: Tensor) -> Tensor:
    return order.reshape(-1, *[1] * (x.ndim - 1)).expand_as(x)


CHANGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "index": lambda x, order: x[order],
    "list": lambda x, order: x[order.tolist()],
    "array": lambda x, order: x[order.numpy()],
    "index_select": lambda x, order: x.index_select(0, order),
    "gather": lambda x, order: x.gather(0, _wide(order, x)),
    "setitem": lambda x, order: _set(torch.zeros_like(x), order, x),
    "index_put": lambda x, order: torch.zeros_like(x).index_put((order,), x),
    "index_copy": lambda x, order: torch.zeros_like(x).index_copy(0, order, x),
    "scatter": lambda x, order: torch.zeros_like(x).scatter(0, _wide(order, x), x),
    "index_add": lambda x, order: torch.zeros_like(x).index_add(0, order, x),
    "embedding": lambda x, order: functional.embedding(order, x.reshape(len(x), -1)).view(x.shape),
    "stack": lambda x, order: torch.stack([x[place] for place in order.tolist()]),
    "unbind": lambda x, order: torch.stack([list(x)[place] for place in order.tolist()]),
    "slices": lambda x, order: torch.cat([x[order[0] :], x[: order[0]]]),
    "chunk": lambda x, order: torch.cat(x.chunk(2)[:: 1 if order[0] < 3 else -1]),
    "roll": lambda x, order: x.roll(int(order[1]) - 2, 0),
    "flip": lambda x, order: x.flip(0),
    "matrix": lambda x, order: (torch.eye(len(x))[order] @ x.flatten(1)).view(x.shape),
    "back": lambda x, order: x[order][order.argsort()],
    "put back": lambda x, order: torch.zeros_like(x).index_copy(0, order, x[order]),
    "repeat": lambda x, order: x.repeat_interleave(2, dim=0)[::2],
    "first rows": lambda x, order: x[:, 0].unsqueeze(1).expand_as(x),
    "transpose": lambda x, order: x.transpose(0, 1).contiguous().transpose(0, 1),
    "flatten": lambda x, order: x.reshape(1, -1).view(x.shape),
    "scale": lambda x, order: 0.5 * (x + x),
    "sequence first": lambda x, order: x.unsqueeze(0)[:, order].squeeze(0),
    "double": lambda x, order: x.double().float(),
}


@pytest.mark.parametrize("shape", [(6, 5), (12, 5), (6, 4, 5)])
@pytest.mark.parametrize("seed", range(100))
def test_owners_are_those_that_values_tell(shape: tuple[int, ...], seed: int) -> None:
    """Rows hold the number of their example, so that they say whether they are in order."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    in_order = torch.arange(6.0).repeat_interleave(shape[0] // SIZE)
    x = in_order.view(-1, *[1] * (len(shape) - 1)).expand(shape).clone().requires_grad_()
    with RowOwners(torch.empty(SIZE)) as owners:
        for name in draw.choices(list(CHANGES), k=draw.randint(1, 6)):
            is_kept = draw.random() < 0.5
            order = torch.arange(shape[0]) if is_kept else torch.randperm(shape[0])
            x = CHANGES[name](x, order)
        told = x.detach().reshape(shape[0], -1)
        assert (told == told[:, :1]).all(), "no change mixes rows"
        assert owners.is_lost(x) == (not torch.equal(told[:, 0], in_order))


def _halves(parts: Any, order: Tensor) -> Tensor:
    """Join parts, the last one first unless rows are to stay in order."""
    return torch.cat(list(parts) if _is_kept(order) else [*parts][::-1])


def _is_kept(order: Tensor) -> bool:
    return torch.equal(order, torch.arange(len(order)))


def _packed(x: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """Pack sequences of two rows in an order; return them and the sizes of their batches."""
    sequences = torch.stack([x, x], dim=1)[order]
    return torch._VF._pack_padded_sequence(sequences, torch.full((len(x),), 2), True)


def _bags(x: Tensor, order: Tensor) -> Tensor:
    return functional.embedding_bag(order.unsqueeze(1), x, mode="sum")


CALLS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    **{
        name: CHANGES[name]
        for name in ("index_select", "gather", "index_copy", "index_add", "scatter", "setitem")
    },
    "getitem": CHANGES["index"],
    "index_put": CHANGES["index_put"],
    "embedding": CHANGES["embedding"],
    "stack": CHANGES["stack"],
    "roll": lambda x, order: x.roll(0 if _is_kept(order) else 2, dims=0),
    "flip": lambda x, order: x if _is_kept(order) else x.flip(0, 1),
    "flipud": lambda x, order: x if _is_kept(order) else torch.flipud(x),
    "fliplr": lambda x, order: x if _is_kept(order) else torch.fliplr(x.T).T,
    "reversed": lambda x, order: x if _is_kept(order) else reversed(x),
    "rot90": lambda x, order: x.rot90(0 if _is_kept(order) else 2, [0, 1]),
    "take_along_dim": lambda x, order: x.take_along_dim(_wide(order, x), dim=0),
    "masked_select": lambda x, order: x[order].masked_select(torch.ones_like(x).bool()).view(x.shape),
    "take": lambda x, order: x.take(order.unsqueeze(1) * x.shape[1] + torch.arange(x.shape[1])),
    "repeat_interleave": lambda x, order: x[order].repeat_interleave(repeats=torch.ones(len(x)).int(), dim=0),
    "narrow": lambda x, order: torch.cat([x.narrow(0, int(place), 1) for place in order]),
    "narrow_copy": lambda x, order: torch.cat([x.narrow_copy(0, int(place), 1) for place in order]),
    "select": lambda x, order: torch.stack([x.select(0, int(place)) for place in order]),
    "unbind": lambda x, order: torch.stack([x.unbind(dim=0)[place] for place in order.tolist()]),
    "split": lambda x, order: _halves(x.split([2, 4]), order),
    "split_with_sizes": lambda x, order: _halves(x.split_with_sizes([2, 4]), order),
    "unsafe_split": lambda x, order: _halves(x.unsafe_split(3), order),
    "unsafe_split_with_sizes": lambda x, order: _halves(torch.unsafe_split_with_sizes(x, [2, 4]), order),
    "chunk": lambda x, order: _halves(torch.chunk(input=x, chunks=2), order),
    "unsafe_chunk": lambda x, order: _halves(x.unsafe_chunk(2), order),
    "tensor_split": lambda x, order: _halves(x.tensor_split([2]), order),
    "vsplit": lambda x, order: _halves(x.vsplit(2), order),
    "pack_padded_sequence": lambda x, order: _packed(x, order)[0][:6],
    "pad_packed_sequence": lambda x, order: torch._VF._pad_packed_sequence(*_packed(x, order), True, 0.0, 2)[
        0
    ][:, 0],
    "sort": lambda x, order: x if _is_kept(order) else x.sort(dim=0, descending=True).values,
    "topk": lambda x, order: x if _is_kept(order) else x.topk(len(x), dim=0).values,
    "msort": lambda x, order: x if _is_kept(order) else -torch.msort(-x),
    "unique": lambda x, order: x if _is_kept(order) else -torch.unique(-x.detach(), dim=0),
    "unique_consecutive": lambda x, order: x if _is_kept(order) else x[order].unique_consecutive(dim=0),
    "copy": lambda x, order: torch.zeros_like(x).copy_(x[order]),
    "put": lambda x, order: torch.zeros_like(x).put(
        order.unsqueeze(1) * x.shape[1] + torch.arange(x.shape[1]), x
    ),
    "masked_scatter": lambda x, order: torch.zeros_like(x).masked_scatter(
        torch.ones_like(x).bool(), x[order]
    ),
    "select_scatter": lambda x, order: x if _is_kept(order) else x.select_scatter(x[0], 0, 1),
    "slice_scatter": lambda x, order: x if _is_kept(order) else x.slice_scatter(x[:2], 0, 4, 6),
    "index_reduce": lambda x, order: torch.zeros_like(x).index_reduce(0, order, x, "amax"),
    "scatter_add": lambda x, order: torch.zeros_like(x).scatter_add(0, _wide(order, x), x),
    "scatter_reduce": lambda x, order: torch.zeros_like(x).scatter_reduce(0, _wide(order, x), x, "sum"),
    "cat": CHANGES["slices"],
    "concat": lambda x, order: torch.concat(tensors=[x[int(place)][None] for place in order]),
    "concatenate": lambda x, order: torch.concatenate([x[int(place)][None] for place in order], dim=0),
    "vstack": lambda x, order: torch.vstack([x[int(place)] for place in order]),
    "row_stack": lambda x, order: torch.row_stack([x[int(place)] for place in order]),
    "hstack": lambda x, order: torch.hstack([x[int(place)] for place in order]).view(x.shape),
    "pad_sequence": lambda x, order: nn.utils.rnn.pad_sequence([x[int(i)] for i in order], batch_first=True),
    "matmul": lambda x, order: torch.matmul(torch.eye(len(x))[order], other=x),
    "mm": lambda x, order: torch.mm(x.T, torch.eye(len(x))[:, order]).T,
    "bmm": lambda x, order: torch.bmm(torch.eye(6)[order].expand(3, 6, 6), x.expand(3, *x.shape))[0],
    "mv": lambda x, order: x if _is_kept(order) else torch.mv(torch.eye(6)[order], x[:, 0])[:, None] + 0 * x,
    "sparse_mm": lambda x, order: torch.sparse.mm(torch.eye(len(x))[order].to_sparse(), x),
    "linear": lambda x, order: functional.linear(x.T, torch.eye(len(x))[order]).T,
    "addmm": lambda x, order: torch.addmm(torch.zeros(()), torch.eye(len(x))[order], x),
    "addmv": lambda x, order: (
        x if _is_kept(order) else torch.addmv(torch.zeros(6), torch.eye(6)[order], x[:, 0])[:, None] + 0 * x
    ),
    "baddbmm": lambda x, order: torch.baddbmm(torch.zeros(()), torch.eye(6)[order][None], x[None])[0],
    "tensordot": lambda x, order: x if _is_kept(order) else torch.tensordot(torch.eye(6)[order], x, dims=1),
    "inner": lambda x, order: x if _is_kept(order) else torch.inner(torch.eye(6)[order], x.T),
    "einsum": lambda x, order: x if _is_kept(order) else torch.einsum("ij,j...", torch.eye(6)[order], x),
    "embedding_bag": lambda x, order: x if _is_kept(order) else _bags(x, order),
}


def test_each_function_that_moves_rows_is_called_below() -> None:
    assert CALLS.keys() == row_owners._RULES.keys()


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [3, 1, 4, 0, 5, 2]])
@pytest.mark.parametrize("name", CALLS)
def test_a_function_moves_rows_where_it_puts_them_out_of_order(name: str, order: list[int]) -> None:
    torch.manual_seed(0)
    x = torch.arange(6.0).unsqueeze(1).expand(6, 5).clone().requires_grad_()
    with RowOwners(torch.empty(6)) as owners:
        result = CALLS[name](x, torch.tensor(order))
        assert owners.is_lost(result) == (order[0] != 0)


def test_rows_of_two_owners_belong_to_nobody() -> None:
    x, order = torch.randn(6, 5, requires_grad=True), torch.tensor([1, 0, 2, 3, 4, 5])
    with RowOwners(torch.empty(6)) as owners:
        assert owners.is_lost(x[order] + x.roll(1, 0))
        assert owners.is_lost((x[order] + x.roll(1, 0))[order])
        assert not owners.is_lost((x[order] + 2 * x[order])[order])
        assert not owners.is_lost(x[[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]].view(6, 2, 5).mean(dim=1))
        assert owners.is_lost(x[[0, 1, 1, 0, 2, 2, 3, 3, 4, 4, 5, 5]].view(6, 2, 5).mean(dim=1))


def test_steps_of_time_that_are_as_many_as_the_examples_are_no_examples() -> None:
    """The batch lies in memory example by example, which transposing it leaves so."""
    x = torch.randn(6, 6, 5, requires_grad=True)
    with RowOwners(torch.empty(6)) as owners:
        steps = list(x.transpose(0, 1))
        stacked = torch.stack(steps)
        for result in (*steps, stacked[-1], stacked[torch.randperm(6), torch.arange(6)]):
            assert not owners.is_lost(result)
        back, order = stacked.transpose(0, 1), torch.tensor([1, 0, 2, 3, 4, 5])
        for result in (torch.relu(stacked)[-1], back[:, -1], back.contiguous()[:, -1], back.flip(1)):
            assert not owners.is_lost(result)
        for result in (torch.relu(stacked)[:, order], back[order], back.flip(0), stacked.flip(1)):
            assert owners.is_lost(result)
        assert owners.is_lost(x.flip(0))
        assert owners.is_lost(torch.stack([x[1], x[0], *x[2:]]))
        by_position = (x.reshape(36, 5) * 2).view(6, 6, 5)  # as a layer over positions returns it
        assert not owners.is_lost(by_position[:, :-1])
        assert owners.is_lost(by_position[order])


@pytest.mark.filterwarnings("ignore:.*renorm")
def test_rows_are_lost_where_their_owners_cannot_be_read() -> None:
    x = torch.randn(6, 5, requires_grad=True)
    with RowOwners(torch.empty(6)) as owners:
        assert owners.is_lost(functional.embedding(torch.tensor([1, 0]), x.detach() + 0 * x, max_norm=1e9))


def test_owners_hold_no_tensor_and_draw_no_random_number() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 5, requires_grad=True)
    state = torch.get_rng_state()
    with RowOwners(torch.empty(6)) as owners:
        moved = x[torch.tensor([1, 0, 2, 3, 4, 5])]
        reference = weakref.ref(moved)
        assert owners.is_lost(moved)
        assert x[torch.arange(6)] not in owners._known, "rows in order need not be followed"
        assert x.sum().topk(1).values.shape == ()
        del moved
        assert reference() is None
    assert torch.equal(torch.get_rng_state(), state)


def test_functions_are_not_followed_while_paused() -> None:
    x, order = torch.randn(6, 6, 5, requires_grad=True), torch.tensor([1, 0, 2, 3, 4, 5])
    with RowOwners(torch.empty(6)) as owners:
        with owners.paused():
            moved = x[order]
        assert not owners.is_lost(moved)
        assert owners.is_lost(x[order])
        with _Doubling(), owners.paused():
            assert owners.is_lost(x[order]), "the mode on top is another one"
        assert owners.is_lost(x[order])


class _Doubling(TorchFunctionMode):
    """Doubles what linear layers return, as a mode of a model's own may."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **kwargs or {})
        return 2 * result if func is functional.linear else result


class _Halved(Tensor):
    """A weight that is half of what it holds, as quantised ones are scaled where they are used."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.linear:
            with torch._C.DisableTorchFunctionSubclass():
                args = [each / 2 if isinstance(each, cls) else each for each in args]
                return func(*args, **kwargs or {})
        return super().__torch_function__(func, types, args, kwargs or {})


class _WithMode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        with _Doubling():
            x = self.inner(x)
        return self.head(x.tanh())


def _with_subclass() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    halved = network[0].weight.detach().as_subclass(_Halved)
    network[0].weight = nn.Parameter(halved, requires_grad=False)
    return network


@pytest.mark.parametrize("build", [_WithMode, _with_subclass])
def test_rules_see_subclasses_of_weights_and_modes_of_the_model(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network, batch = build(), (torch.randn(6, 4), torch.randint(3, (6,)))
    plain = functional.cross_entropy(network(batch[0]), batch[1], reduction="none")
    torch.testing.assert_close(losses_of(network, LOSS, batch), plain.detach())
