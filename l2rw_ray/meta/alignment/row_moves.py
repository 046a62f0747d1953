"""The functions of torch that move rows of tensors, and along which dimension a call does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

_ALL = None
"""In place of a dimension: the function treats the tensor as flat, or takes several dimensions."""
NOBODY = -1
"""The owner of a row that several examples share, or that is of none."""


@dataclass(frozen=True)
class Move:
    """A function that moves rows along a dimension.

    Attributes:
        place: Of the dimension among the arguments; None where it is none.
        default: The dimension where none is given.
        source: Place and name of the argument whose rows are moved.
        reads_index: Whether a tensor says which rows, rather than numbers.
    """

    place: int | None = None
    default: int | None = _ALL
    source: tuple[int, str] = (0, "input")
    reads_index: bool = True

    def argument(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Return the argument whose rows are moved; None where it is not given."""
        place, key = self.source
        return args[place] if len(args) > place else kwargs.get(key)

    def dim(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Return the dimension, or several, or None for all."""
        if self.place is not None and len(args) > self.place:
            return args[self.place]
        return kwargs.get("dim", kwargs.get("dims", self.default))


PICKERS = {
    "getitem": Move(),
    "index_select": Move(1),
    "gather": Move(1),
    "take_along_dim": Move(2),
    "masked_select": Move(),
    "take": Move(),
    "embedding": Move(default=0, source=(1, "weight")),
    "repeat_interleave": Move(2),
    "narrow": Move(1, reads_index=False),
    "select": Move(1, reads_index=False),
    "unbind": Move(1, 0, reads_index=False),
    "split": Move(2, 0, reads_index=False),
    "split_with_sizes": Move(2, 0, reads_index=False),
    "chunk": Move(2, 0, reads_index=False),
    "tensor_split": Move(2, 0, reads_index=False),
    "roll": Move(2, reads_index=False),
    "flip": Move(reads_index=False),
    "flipud": Move(default=0, reads_index=False),
}
"""Functions whose result has elements of their first argument, or of their `source`, in other places."""

SORTERS = {
    "sort": Move(1, -1),
    "topk": Move(2, -1),
    "msort": Move(default=0),
    "unique": Move(4),
    "unique_consecutive": Move(3),
    "pack_padded_sequence": Move(default=0),
}
"""Functions after which it depends on values, or on lengths, whose row is where."""

PUTTERS = {
    "setitem": Move(source=(2, "value")),
    "index_put": Move(source=(2, "values")),
    "masked_scatter": Move(source=(2, "source")),
    "index_copy": Move(1, source=(3, "source")),
    "index_add": Move(1, source=(3, "source")),
    "index_reduce": Move(1, source=(3, "source")),
    "scatter": Move(1, source=(3, "src")),
    "scatter_add": Move(1, source=(3, "src")),
    "scatter_reduce": Move(1, source=(3, "src")),
}
"""Functions that put rows of their `source` into their first argument."""
_ADDING = {"index_add", "index_reduce", "scatter_add", "scatter_reduce"}

_Dimension = Callable[[list[Tensor], tuple[Any, ...], Mapping[str, Any]], int]


def _given_dim(parts: list[Tensor], rest: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    dim: int = rest[0] if rest else kwargs.get("dim", 0)
    return dim % max(1, parts[0].ndim)


def _stack_dim(parts: list[Tensor], rest: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    dim: int = rest[0] if rest else kwargs.get("dim", 0)
    return dim % (parts[0].ndim + 1)


JOINERS: dict[str, _Dimension] = {
    "cat": _given_dim,
    "concat": _given_dim,
    "concatenate": _given_dim,
    "stack": _stack_dim,
    "vstack": lambda parts, rest, kwargs: 0,
    "row_stack": lambda parts, rest, kwargs: 0,
    "hstack": lambda parts, rest, kwargs: int(parts[0].ndim > 1),
    "pad_sequence": lambda parts, rest, kwargs: 0 if (rest[0] if rest else kwargs.get("batch_first")) else 1,
}
"""Functions that join tensors, and what returns along which dimension of the result."""
RESTORERS = {"embedding_bag", "pad_packed_sequence"}
"""Functions that make one row of each example of its packed rows, whose lengths they are given."""
PRODUCTS = {"matmul", "mm"}
"""Functions that multiply rows by a matrix."""


def touches(
    name: str, x: Tensor, axis: int, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, is_by_index: bool
) -> bool:
    """Return whether a call moves rows along a dimension.

    Args:
        name: Of the function.
        x: The tensor that it takes them from or puts them into.
        axis: The dimension.
        args: Of the call.
        kwargs: Of the call.
        is_by_index: Whether to count a call only if a tensor says which rows.
    """
    if name in ("getitem", "index_put", "setitem"):
        index = args[1] if len(args) > 1 else kwargs["indices"]
        return _is_indexed(index, x.shape[axis] if x.ndim else 0, axis, is_by_index=is_by_index)
    move = (PICKERS | SORTERS | PUTTERS)[name]
    if is_by_index and not move.reads_index:
        return False
    dim = move.dim(args, kwargs)
    return dim is _ALL or axis in [each % x.ndim for each in ([dim] if isinstance(dim, int) else dim)]


def _is_indexed(index: Any, rows: int, axis: int, *, is_by_index: bool) -> bool:
    """Return whether an index picks rows along a dimension, rather than all of them."""
    before = 0
    for each in index if isinstance(index, tuple) else (index,):
        if each is Ellipsis:
            return False  # what follows are the last dimensions
        if each is None:
            continue
        if isinstance(each, list):
            each = torch.as_tensor(each)
        is_index = isinstance(each, Tensor | np.ndarray)
        is_mask = is_index and str(each.dtype).endswith(("bool", "uint8"))
        after = before + (each.ndim if is_mask else 1)
        if before <= axis < after:
            is_whole = isinstance(each, slice) and range(*each.indices(rows)) == range(rows)
            return is_index or not (is_by_index or is_whole)
        before = after
    return False


def put(name: str, owners: Tensor, into: Tensor, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """Return the owners of a tensor's elements after a call has put others into it.

    Args:
        name: Of the function.
        owners: Of the elements that it puts.
        into: Owners of the tensor's elements before.
        args: Of the call.
        kwargs: Of the call.
    """
    if kwargs.get("accumulate", name == "index_put" and args[3:] == (True,)):
        return torch.full_like(into, NOBODY)
    into = into.clone()
    if name == "setitem":
        into[args[1]] = owners
        return into
    if name in _ADDING:
        dim, index = (
            args[1] if len(args) > 1 else kwargs["dim"],
            args[2] if len(args) > 2 else kwargs["index"],
        )
        if index.ndim < owners.ndim:
            index = index.reshape([-1 if each == dim % owners.ndim else 1 for each in range(owners.ndim)])
            index = index.expand_as(owners)
        least, most = (into.scatter_reduce(dim, index, owners, which) for which in ("amin", "amax"))
        return torch.where(least == most, least, NOBODY)
    place, key = PUTTERS[name].source
    named = {each: owners if each == key else value for each, value in kwargs.items()}
    given = [owners if each == place else value for each, value in enumerate(args)]
    result: Tensor = getattr(into, name)(*given[1:], **named)
    return result
