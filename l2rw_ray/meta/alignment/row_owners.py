"""Follow rows through functions that move them, to know which example each belongs to.

Shapes tell which row belongs to which example where all have equally many, those of one next to each other.
An index, a mask or a concatenation can leave any rows: a batch of texts can happen to pack into a multiple of
its size. Such a function is called again, with the number of the example that owns it in place of each value.

Shape suffixes: N examples, T rows.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from l2rw_ray.meta.alignment.layers import row_axis
from l2rw_ray.meta.alignment.row_moves import (
    JOINERS,
    NOBODY,
    PICKERS,
    PRODUCTS,
    PUTTERS,
    RESTORERS,
    SORTERS,
    put,
    touches,
)

_UNREADABLE = (RuntimeError, TypeError, ValueError, IndexError)
"""What reading a tensor raises inside torch.vmap, on a meta device, or where it is nested or sparse."""
_MOVES = {*PICKERS, *SORTERS, *PUTTERS, *JOINERS, *PRODUCTS}
_ARE_NUMBERED_FROM = 4
"""With fewer examples, a first dimension as long is as likely one over heads, or over inputs."""


class RowOwners(TorchFunctionMode):
    """Follows, while it is active, the owners of rows that functions have moved.

    What is computed from such rows belongs to the same examples. Constants that meet rows in order, as where
    inputs are mixed with others of the batch, leave these in order.

    Args:
        size: N.
        is_of_batch: Returns whether a tensor seems to have rows of examples.
        train_size: Examples of the train batch; losses are computed of them and of the others apart.

    Attributes:
        has_moved: Whether a function has moved rows of the batch, to whatever order.
    """

    def __init__(self, size: int, is_of_batch: Callable[[Tensor], bool], train_size: int = 0) -> None:
        super().__init__()
        self._size, self._is_of_batch = size, is_of_batch
        self._shares = (slice(train_size), slice(train_size, None))
        self._known: dict[int, tuple[Tensor, Tensor]] = {}
        self.has_moved = False

    def is_lost(self, tensor: Tensor) -> bool:
        """Return whether a tensor's rows are not those of the examples in order, equally many of each."""
        if id(tensor) not in self._known:
            return False
        try:
            with torch._C.DisableTorchFunction():
                return not self._are_in_order(self._known[id(tensor)][1])
        except _UNREADABLE:
            return False

    def __exit__(self, *error: Any) -> None:
        """Forget all tensors."""
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._known.clear()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch, and note who owns the rows of its result."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "").strip("_")
        if (self._known or name in _MOVES) and self._size > 1 and not torch.compiler.is_compiling():
            with suppress(*_UNREADABLE), torch.no_grad():
                self._note(name, func, args, kwargs, result)
        return result

    def _note(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> None:
        moved = None
        if name in PICKERS:
            moved = self._picked(name, func, args, kwargs)
        elif name in SORTERS:
            moved = self._sorted(name, args, kwargs, result)
        elif name in PUTTERS:
            moved = self._put(name, args, kwargs)
        elif name in JOINERS:
            moved = self._joined(name, func, args, kwargs)
        elif name in PRODUCTS:
            moved = self._multiplied(args)
        if moved is None:
            if name not in RESTORERS:
                self._follow((args, kwargs), result)
            return
        is_share = name == "getitem" and isinstance(args[1], slice) and args[1] in self._shares
        self.has_moved |= not is_share and name not in JOINERS  # which join what was moved before
        results = _tensors(args[0] if name == "setitem" else result)
        for tensor, owners in zip(results, _tensors(moved), strict=True):
            self._known[id(tensor)] = tensor, self._by_row(owners, tensor)

    def _picked(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Return the owners of what was picked; None where all rows are as before."""
        place, key = PICKERS[name].source
        x = PICKERS[name].argument(args, kwargs)
        if not self._is_followed(x) or not self._is_moved(name, x, args, kwargs):
            return None
        owners = self._of(x)
        given = [owners if index == place else each for index, each in enumerate(args)]
        return func(*given, **(kwargs | {key: owners} if key in kwargs else kwargs))

    def _sorted(self, name: str, args: Any, kwargs: Any, result: Any) -> Any:
        """Return nobody as the owner of rows that were put in another order."""
        x = SORTERS[name].argument(args, kwargs)
        if not self._is_followed(x) or not self._is_moved(name, x, args, kwargs):
            return None
        return [torch.full_like(each, NOBODY, dtype=torch.int32) for each in _tensors(result)]

    def _put(self, name: str, args: Any, kwargs: Any) -> Tensor | None:
        """Return the owners of a tensor into which rows were put; None where they are in their places."""
        x, value = args[0], PUTTERS[name].argument(args, kwargs)
        if not self._is_followed(value):
            return None
        are_known = id(x) in self._known or id(value) in self._known
        if not are_known and not self._is_moved(name, x, args, kwargs):
            return None
        return put(name, self._of(value), self._of(x), args, kwargs)

    def _joined(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any) -> Tensor | None:
        """Return the owners of joined rows; None where no part was moved, or they are joined otherwise."""
        key = "tensors" if "tensors" in kwargs else "sequences"
        parts, rest = (args or (kwargs[key],))[0], args[1:]
        others = {each: value for each, value in kwargs.items() if each != key}
        is_known = any(id(part) in self._known for part in parts)
        is_by_example = len(parts) == self._size and len({len(part) for part in parts if part.ndim}) > 1
        if not is_known and (not is_by_example or self._size < _ARE_NUMBERED_FROM):
            return None
        owners = [self._of(part) for part in parts]
        if not is_known:
            self.has_moved = True
            owners = [torch.full_like(each, index) for index, each in enumerate(owners)]
        joined: Tensor = func(owners, *rest, **others)
        return joined if JOINERS[name](owners, rest, others) == self._axis(joined) else None

    def _multiplied(self, args: Any) -> Tensor | None:
        """Return the owners of sums of rows, times the columns of a constant matrix."""
        matrix, x = args
        if matrix.requires_grad or min(matrix.ndim, x.ndim) < 2 or self._axis(x) != x.ndim - 2:
            return None
        if not x.requires_grad or not self._is_followed(x):
            return None
        owners_T = self._of(x)[..., 0].reshape(-1, x.shape[-2])[0]
        is_used_RT = (matrix != 0).flatten(0, -3).any(dim=0) if matrix.ndim > 2 else matrix != 0
        least_R = torch.where(is_used_RT, owners_T, self._size).amin(dim=1)
        most_R = torch.where(is_used_RT, owners_T, NOBODY).amax(dim=1)
        owners_R = torch.where(least_R == most_R, least_R, NOBODY)
        shape = torch.broadcast_shapes(matrix.shape[:-2], x.shape[:-2])
        return owners_R.unsqueeze(1).expand(*shape, len(owners_R), x.shape[-1])

    def _is_moved(self, name: str, x: Tensor, args: Any, kwargs: Any) -> bool:
        """Return whether a call moves rows of a tensor along the dimension of examples."""
        is_ambiguous = self._size < _ARE_NUMBERED_FROM or x.shape[1:2] == (self._size,)
        return touches(name, x, self._axis(x), args, kwargs, is_by_index=is_ambiguous)

    def _follow(self, given: Any, result: Any) -> None:
        """Note results as rows of those whose rows they were computed from."""
        tensors = list(_tensors(given))
        known = [tensor for tensor in tensors if id(tensor) in self._known]
        known = [tensor for tensor in known if tensor.requires_grad] or known
        if not known:
            return
        counts = set()
        if not known[0].requires_grad:
            others = [each for each in tensors if id(each) not in self._known and self._is_followed(each)]
            counts = {self._rows(each) for each in others}
        for tensor in _tensors(result):
            if self._rows(tensor) not in counts:
                self._known[id(tensor)] = tensor, self._combined(known, tensor)

    def _combined(self, known: list[Tensor], result: Tensor) -> Tensor:
        """Return the owners of rows that were computed from those of several tensors."""
        first, *others = (self._resized(self._known[id(tensor)][1], result) for tensor in known)
        for other in others:
            if len(other) == len(first):
                first = torch.where(first == other, first, NOBODY)
            elif not self._are_in_order(other):
                first = torch.full_like(first, NOBODY)
        return first

    def _resized(self, owners_T: Tensor, result: Tensor) -> Tensor:
        """Return the owners of a result's rows; all that there are where no shape tells its rows."""
        rows, count = self._rows(result), len(owners_T)
        if not rows or not count or (result.ndim and row_axis(result.shape, self._size) is None):
            return owners_T
        if rows % count == 0:
            return owners_T.repeat_interleave(rows // count)
        return _agreed(owners_T.view(rows, -1)) if count % rows == 0 else owners_T

    def _is_followed(self, x: Any) -> bool:
        """Return whether a tensor has rows of examples, in order or not."""
        if not isinstance(x, Tensor) or isinstance(x, nn.Parameter):
            return False
        if id(x) in self._known:
            return True
        is_plain = x.layout == torch.strided and not x.is_nested
        return is_plain and row_axis(x.shape, self._size) is not None and self._is_of_batch(x)

    def _axis(self, x: Tensor) -> int:
        return row_axis(x.shape, self._size) or 0

    def _rows(self, x: Tensor) -> int:
        return x.shape[self._axis(x)] if x.ndim else 1

    def _of(self, x: Tensor) -> Tensor:
        """Return the owner of each element of a tensor."""
        rows, owners = self._rows(x), self._in_order(self._rows(x), x.device)
        if id(x) in self._known:
            known = self._known[id(x)][1]
            if len(known) in (1, rows):
                owners = known
            elif not self._are_in_order(known):
                owners = _agreed(known.view(1, -1))
        shape = [len(owners) if dim == self._axis(x) else 1 for dim in range(x.ndim)]
        return owners.reshape(shape).expand(x.shape)

    def _by_row(self, owners: Tensor, x: Tensor) -> Tensor:
        """Return the owner of each row [T] of a tensor from the owners of its elements."""
        rows = owners.movedim(self._axis(x), 0) if x.ndim else owners
        return _agreed(rows.reshape(self._rows(x), -1) if x.numel() else rows.new_empty(0, 1))

    def _in_order(self, rows: int, device: torch.device) -> Tensor:
        """Return the owners [T] of rows in order, equally many of each; nobody where they cannot be."""
        if rows % self._size:
            return torch.full((rows,), NOBODY, dtype=torch.int32, device=device)
        owners_N = torch.arange(self._size, dtype=torch.int32, device=device)
        return owners_N.repeat_interleave(rows // self._size)

    def _are_in_order(self, owners_T: Tensor) -> bool:
        """Return whether owners are those of rows in order; those of no rows at all are."""
        count = len(owners_T)
        return count % self._size == 0 and torch.equal(owners_T, self._in_order(count, owners_T.device))


def _agreed(owners: Tensor) -> Tensor:
    """Return who owns each row [T] of owners [T, …]; nobody where several do."""
    least, most = torch.aminmax(owners, dim=1)
    return torch.where(least == most, least, NOBODY)


def _tensors(values: Any) -> Iterator[Tensor]:
    """Iterate over the tensors among arguments or results of a function."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict | list | tuple):
        for each in values.values() if isinstance(values, dict) else values:
            yield from _tensors(each)
