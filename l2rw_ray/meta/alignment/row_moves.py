"""The functions of torch that move rows of tensors, and along which dimension a call does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

NOBODY = -1
"""The owner of a row that several examples share, or that is of none."""
_ALL = None
"""In place of a dimension: the function treats the tensor as flat."""
_Arguments = tuple[Any, ...]
_Named = Mapping[str, Any]


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

    def argument(self, args: _Arguments, kwargs: _Named) -> Any:
        """Return the argument whose rows are moved; None where it is not given."""
        place, key = self.source
        return args[place] if len(args) > place else kwargs.get(key)

    def dim(self, args: _Arguments, kwargs: _Named) -> Any:
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
    "pack_padded_sequence": Move(),
    "narrow": Move(1, reads_index=False),
    "narrow_copy": Move(1, reads_index=False),
    "select": Move(1, reads_index=False),
    "unbind": Move(1, 0, reads_index=False),
    "split": Move(2, 0, reads_index=False),
    "split_with_sizes": Move(2, 0, reads_index=False),
    "chunk": Move(2, 0, reads_index=False),
    "tensor_split": Move(2, 0, reads_index=False),
    "vsplit": Move(default=0, reads_index=False),
    "roll": Move(2, reads_index=False),
    "flip": Move(1, reads_index=False),
    "flipud": Move(default=0, reads_index=False),
    "fliplr": Move(default=1, reads_index=False),
    "rot90": Move(reads_index=False),
    "unfold": Move(1, reads_index=False),
}
"""Functions whose result has elements of their `source` in other places."""

SORTERS = {
    "sort": Move(1, -1),
    "topk": Move(2, -1),
    "msort": Move(default=0),
    "unique": Move(4),
    "unique_consecutive": Move(3),
}
"""Functions after which it depends on values whose row is where."""

PUTTERS = {
    "setitem": Move(source=(2, "value")),
    "copy": Move(source=(1, "src")),
    "index_put": Move(source=(2, "values")),
    "put": Move(source=(2, "source")),
    "masked_scatter": Move(source=(2, "source")),
    "select_scatter": Move(2, source=(1, "src")),
    "slice_scatter": Move(2, 0, source=(1, "src")),
    "index_copy": Move(1, source=(3, "source")),
    "index_add": Move(1, source=(3, "source")),
    "index_reduce": Move(1, source=(3, "source")),
    "scatter": Move(1, source=(3, "src")),
    "scatter_add": Move(1, source=(3, "src")),
    "scatter_reduce": Move(1, source=(3, "src")),
}
"""Functions that put rows of their `source` into their first argument."""
_ADDING = {"index_add", "index_reduce", "scatter_add", "scatter_reduce"}
_BY_INDEX = ("getitem", "index_put", "setitem")

PRODUCTS = {"matmul", "mm", "bmm", "sparse_mm", "linear"}
"""Functions that may multiply rows by a matrix."""
RESTORERS = {"embedding_bag", "pad_packed_sequence"}
"""Functions that make one row of each example of its packed rows, whose lengths they are given."""


def _given_dim(parts: list[Tensor], rest: _Arguments, kwargs: _Named) -> int:
    dim: int = rest[0] if rest else kwargs.get("dim", 0)
    return dim % max(1, parts[0].ndim)


def _stack_dim(parts: list[Tensor], rest: _Arguments, kwargs: _Named) -> int:
    dim: int = rest[0] if rest else kwargs.get("dim", 0)
    return dim % (parts[0].ndim + 1)


JOINERS: dict[str, Callable[[list[Tensor], _Arguments, _Named], int]] = {
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


def touches(
    name: str, x: Tensor, axis: int, args: _Arguments, kwargs: _Named, *, is_by_index: bool = False
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
    if name in _BY_INDEX:
        index = args[1] if len(args) > 1 else kwargs["indices"]
        return _is_indexed(index if isinstance(index, tuple) else (index,), x, axis, is_by_index=is_by_index)
    move = (PICKERS | SORTERS | PUTTERS)[name]
    if is_by_index and not move.reads_index:
        return False
    dim = args[1:] if name == "flip" and len(args) > 2 else move.dim(args, kwargs)
    return dim is _ALL or axis in [each % x.ndim for each in ([dim] if isinstance(dim, int) else dim)]


def _is_indexed(index: tuple[Any, ...], x: Tensor, axis: int, *, is_by_index: bool) -> bool:
    """Return whether an index picks rows along a dimension, rather than all of them."""
    index = tuple(torch.as_tensor(each) if isinstance(each, list) else each for each in index)
    spans = [_span(each) for each in index]
    before = 0
    for each, span in zip(index, spans, strict=True):
        after = before + (x.ndim - sum(spans) if each is Ellipsis else span)
        if before <= axis < after:
            if isinstance(each, Tensor | np.ndarray):
                return True
            is_whole = isinstance(each, slice) and range(*each.indices(x.shape[axis])) == range(x.shape[axis])
            return not (is_whole or is_by_index or each is Ellipsis)
        before = after
    return False


def _span(index: Any) -> int:
    """Return how many dimensions a part of an index is for."""
    if index is None or index is Ellipsis or isinstance(index, bool):
        return 0
    is_mask = isinstance(index, Tensor | np.ndarray) and str(index.dtype).endswith(("bool", "uint8"))
    return index.ndim if is_mask else 1


def put(name: str, owners: Tensor, into: Tensor, args: _Arguments, kwargs: _Named) -> Tensor:
    """Return the owners of a tensor's elements after a call has put others into it.

    Args:
        name: Of the function.
        owners: Of the elements that it puts.
        into: Owners of the tensor's elements before.
        args: Of the call.
        kwargs: Of the call.
    """
    before, into = into, into.clone()
    if name == "copy":
        return into.copy_(owners)
    if name in ("setitem", "index_put"):
        index = args[1] if len(args) > 1 else kwargs["indices"]
        if kwargs.get("accumulate", args[3:] == (True,)):
            return torch.where((before[index] == owners).all(), before, NOBODY)
        into[index] = owners
        return into
    if name in _ADDING:
        index = args[2] if len(args) > 2 else kwargs["index"]
        dim = PUTTERS[name].dim(args, kwargs)
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


def multiplied(matrix: Tensor, owners_T: Tensor, default_R: Tensor) -> Tensor:
    """Return the owners of rows that are sums of rows, times the elements of a constant matrix.

    Args:
        matrix: [R, T], or several of them.
        owners_T: Owners of the rows that are added.
        default_R: Owners of sums of none.
    """
    is_used_RT = (matrix != 0).flatten(0, -3).any(dim=0) if matrix.ndim > 2 else matrix != 0
    least_R = torch.where(is_used_RT, owners_T, torch.iinfo(owners_T.dtype).max).amin(dim=1)
    most_R = torch.where(is_used_RT, owners_T, NOBODY).amax(dim=1)
    owners_R = torch.where(least_R == most_R, least_R, NOBODY)
    return torch.where(is_used_RT.any(dim=1), owners_R, default_R)


def adds_rows(equation: str, place: int, axis: int) -> bool:
    """Return whether an `einsum` adds up what an operand has along a dimension.

    Args:
        equation: Its first argument.
        place: Of the operand.
        axis: The dimension.
    """
    given, _, result = equation.replace(" ", "").partition("->")
    labels = given.split(",")[place]
    return "..." not in labels and "->" in equation and labels[axis] not in result
