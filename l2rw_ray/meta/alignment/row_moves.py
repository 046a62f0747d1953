"""The functions of torch that move rows of tensors, and along which dimension a call does.

Shape suffixes: R rows of a result, T rows of which they are sums.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

NOBODY = -1
"""The owner of a row that several examples share, or that belongs to none."""

_Arguments = tuple[Any, ...]
_Named = Mapping[str, Any]


@dataclass(frozen=True)
class Move:
    """How a function that moves rows takes its arguments.

    Attributes:
        place: Where among the arguments the dimension is; None where the function takes none.
        default: The dimension where none is given; None for the tensor as if it were flat.
        source: Place and name of the argument whose rows are moved.
    """

    place: int | None = None
    default: int | None = None
    source: tuple[int, str] = (0, "input")

    def argument(self, args: _Arguments, kwargs: _Named) -> Any:
        """Return the argument whose rows are moved; None where it is not given."""
        place, key = self.source
        return args[place] if len(args) > place else kwargs.get(key)

    def replaced(self, args: _Arguments, kwargs: _Named, other: Tensor) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments with another tensor in place of the one whose rows are moved."""
        place, key = self.source
        given = [other if index == place else value for index, value in enumerate(args)]
        return given, {name: other if name == key else value for name, value in kwargs.items()}

    def dims(self, args: _Arguments, kwargs: _Named) -> list[int] | None:
        """Return the dimensions of a call; None for the tensor as if it were flat."""
        given = kwargs.get("dim", kwargs.get("dims", self.default))
        if self.place is not None and len(args) > self.place:
            given = args[self.place]
        return [given] if isinstance(given, int) else None if given is None else list(given)


SELECTING = {
    "getitem": Move(),
    "index_select": Move(1),
    "gather": Move(1),
    "take_along_dim": Move(2),
    "masked_select": Move(),
    "take": Move(),
    "embedding": Move(default=0, source=(1, "weight")),
    "repeat_interleave": Move(2),
    "narrow": Move(1),
    "narrow_copy": Move(1),
    "select": Move(1),
    "unbind": Move(1, 0),
    "split": Move(2, 0),
    "split_with_sizes": Move(2, 0),
    "unsafe_split": Move(2, 0),
    "unsafe_split_with_sizes": Move(2, 0),
    "chunk": Move(2, 0),
    "unsafe_chunk": Move(2, 0),
    "tensor_split": Move(2, 0),
    "vsplit": Move(default=0),
    "roll": Move(2),
    "flip": Move(1),
    "flipud": Move(default=0),
    "fliplr": Move(default=1),
    "reversed": Move(default=0),
    "rot90": Move(2),
    "pack_padded_sequence": Move(),
}
"""Functions whose result has elements of their source in other places."""

ORDERING = {
    "sort": Move(1, -1),
    "topk": Move(2, -1),
    "msort": Move(default=0),
    "unique": Move(4),
    "unique_consecutive": Move(3),
}
"""Functions that order rows by value."""

WRITING = {
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
"""Functions that write rows of their source into their first argument, or a copy of it."""

MULTIPLYING = {
    "matmul": 0,
    "mm": 0,
    "bmm": 0,
    "mv": 0,
    "sparse_mm": 0,
    "linear": 0,
    "addmm": 1,
    "addmv": 1,
    "baddbmm": 1,
}
"""Functions that may multiply rows by a matrix, and the place of the first factor."""


def _dim_of(parts: list[Tensor], rest: _Arguments, kwargs: _Named, added: int = 0) -> int:
    dim: int = rest[0] if rest else kwargs.get("dim", 0)
    return dim % max(1, parts[0].ndim + added)


def _batch_dim(parts: list[Tensor], rest: _Arguments, kwargs: _Named) -> int:
    return 0 if (rest[0] if rest else kwargs.get("batch_first")) else 1


JOINING: dict[str, Callable[[list[Tensor], _Arguments, _Named], int]] = {
    **dict.fromkeys(("cat", "concat", "concatenate"), _dim_of),
    "stack": lambda parts, rest, kwargs: _dim_of(parts, rest, kwargs, added=1),
    **dict.fromkeys(("vstack", "row_stack"), lambda parts, rest, kwargs: 0),
    "hstack": lambda parts, rest, kwargs: int(parts[0].ndim > 1),
    "pad_sequence": _batch_dim,
}
"""Functions that join tensors, each with one that returns along which dimension of the result."""


def touches(name: str, move: Move, x: Tensor, axis: int, args: _Arguments, kwargs: _Named) -> bool:
    """Return whether a call moves rows along a dimension.

    Args:
        name: Name of the function.
        move: How it takes its arguments.
        x: The tensor that it takes rows from or writes them into.
        axis: The dimension.
        args: Arguments of the call.
        kwargs: Its named ones.
    """
    if name in ("getitem", "index_put", "setitem"):
        return _is_indexed(index_of(name, args, kwargs), x, axis)
    dims = list(args[1:]) if name == "flip" and len(args) > 2 else move.dims(args, kwargs)
    return dims is None or axis in [dim % max(1, x.ndim) for dim in dims]


def index_of(name: str, args: _Arguments, kwargs: _Named) -> tuple[Any, ...]:
    """Return the parts of a call's index, tensors in place of lists."""
    index = args[1] if len(args) > 1 else kwargs["indices"]
    if not isinstance(index, tuple):
        index = tuple(index) if name == "index_put" else (index,)
    return tuple(torch.as_tensor(part) if isinstance(part, list) else part for part in index)


def indexed_dims(index: tuple[Any, ...], x: Tensor) -> int:
    """Return how many of a tensor's first dimensions an index is for."""
    return x.ndim if any(part is Ellipsis for part in index) else sum(map(_span, index))


def _is_indexed(index: tuple[Any, ...], x: Tensor, axis: int) -> bool:
    """Return whether an index picks rows along a dimension, rather than all of them."""
    before, left = 0, x.ndim - sum(map(_span, index))
    for part in index:
        after = before + (left if part is Ellipsis else _span(part))
        if before <= axis < after:
            rows = x.shape[axis]
            is_whole = isinstance(part, slice) and range(*part.indices(rows)) == range(rows)
            return part is not Ellipsis and not is_whole
        before = after
    return False


def _span(index: Any) -> int:
    """Return how many dimensions a part of an index is for."""
    if index is None or index is Ellipsis or isinstance(index, bool):
        return 0
    is_mask = isinstance(index, Tensor | np.ndarray) and str(index.dtype).endswith(("bool", "uint8"))
    return index.ndim if is_mask else 1


def written(name: str, owners: Tensor, into: Tensor, args: _Arguments, kwargs: _Named) -> Tensor:
    """Return the owners of a tensor's elements after a call has written others into it.

    Args:
        name: Name of the function.
        owners: Owners of the elements that it writes, shaped as these.
        into: Owners of the tensor's elements before, shaped as it.
        args: Arguments of the call.
        kwargs: Its named ones.
    """
    after = into.clone()
    if name == "copy":
        return after.copy_(owners)
    if kwargs.get("accumulate", name in ("index_put", "put") and args[3:] == (True,)):
        is_same = name == "index_put" and (into[index_of(name, args, kwargs)] == owners).all()
        return torch.where(torch.as_tensor(is_same, device=into.device), into, NOBODY)
    if name in ("setitem", "index_put"):
        after[index_of(name, args, kwargs)] = owners
        return after
    is_added = name in ("index_add", "index_reduce", "scatter_add", "scatter_reduce")
    if is_added or "reduce" in kwargs or (name == "scatter" and len(args) > 4):
        index = args[2] if len(args) > 2 else kwargs["index"]
        (dim,) = WRITING[name].dims(args, kwargs) or [0]
        if index.ndim < owners.ndim:
            index = index.reshape([-1 if each == dim % owners.ndim else 1 for each in range(owners.ndim)])
            index = index.expand_as(owners)
        return _common(*(after.scatter_reduce(dim, index, owners, which) for which in ("amin", "amax")))
    given, named = WRITING[name].replaced(args, kwargs, owners)
    result: Tensor = getattr(after, name)(*given[1:], **named)
    return result


def multiplied(matrix_RT: Tensor, owners_T: Tensor, default_R: Tensor) -> Tensor:
    """Return the owners [R] of sums of rows, times the elements of a constant matrix.

    Args:
        matrix_RT: The matrix, or several of them.
        owners_T: Owners of the rows that are added.
        default_R: Owners of sums of none.
    """
    is_used_RT = (matrix_RT != 0).flatten(0, -3).any(dim=0) if matrix_RT.ndim > 2 else matrix_RT != 0
    least_R = torch.where(is_used_RT, owners_T, torch.iinfo(owners_T.dtype).max).amin(dim=1)
    most_R = torch.where(is_used_RT, owners_T, NOBODY).amax(dim=1)
    return torch.where(is_used_RT.any(dim=1), _common(least_R, most_R), default_R)


def agreed(owners_TE: Tensor) -> Tensor:
    """Return who owns all elements of a row, [T]; nobody where several do."""
    return _common(*torch.aminmax(owners_TE, dim=1))


def _common(least: Tensor, most: Tensor) -> Tensor:
    return torch.where(least == most, least, NOBODY)


def contracts_rows(dims: Any, place: int, axis: int, ndim: int) -> bool:
    """Return whether a `tensordot` adds up what an operand has along a dimension.

    Args:
        dims: How many dimensions it adds up, or which of either operand.
        place: Place of the operand, 0 or 1.
        axis: The dimension.
        ndim: Dimensions of the operand.
    """
    if isinstance(dims, int):
        return axis >= ndim - dims if place == 0 else axis < dims
    return axis in [dim % ndim for dim in dims[place]]


def adds_rows(equation: str, place: int, axis: int) -> bool:
    """Return whether an `einsum` adds up what an operand has along a dimension.

    Args:
        equation: Its first argument.
        place: Place of the operand among the others.
        axis: The dimension.
    """
    given, arrow, result = equation.replace(" ", "").partition("->")
    if not arrow:  # the labels that occur once
        result = "".join(label for label in given if given.count(label) == 1)
    first, *later = given.split(",")[place].split("...")
    # dimensions of an ellipsis are in the result, too; those after it are hardly ever the examples'
    return axis < len(first) and first[axis] not in result if later else first[axis] not in result
