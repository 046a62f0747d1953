"""Owners of rows that functions have moved, compared with values that say whose they are."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from l2rw_ray.meta.alignment.row_owners import RowOwners

SIZE = 6


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
        assert owners.is_lost(x) is not torch.equal(told[:, 0], in_order)
