"""Follow rows through functions that move them, to know which example each belongs to.

Shapes tell which row belongs to which example where all have equally many, those of one next to each other.
An index, a mask or a concatenation can leave any rows: a batch of texts can happen to pack into a multiple of
its size. Such a function is called again, with the number of the example that owns it in place of each value.

Shape suffixes: N examples, T rows.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from l2rw_ray.meta.alignment.layers import ParameterExpression, row_axis
from l2rw_ray.meta.alignment.row_moves import (
    JOINERS,
    NOBODY,
    PICKERS,
    PRODUCTS,
    PUTTERS,
    RESTORERS,
    SORTERS,
    adds_rows,
    multiplied,
    put,
    touches,
)
from l2rw_ray.meta.evaluation.batches import Batch, batch_size
from l2rw_ray.trees import tensors_of

_UNREADABLE = (RuntimeError, TypeError, ValueError, LookupError, AttributeError)
"""What reading a tensor raises inside torch.vmap, on a meta device, or where it is nested or sparse."""
_MOVES = {*PICKERS, *SORTERS, *PUTTERS, *JOINERS, *PRODUCTS, "einsum"}


@cache
def _moving(name: str) -> str | None:
    """Return which of the functions that may move rows a name is for, in place or not; None for others."""
    name = name.strip("_").partition(".")[0]
    return name if name in _MOVES else None


class RowOwners(TorchFunctionMode):
    """Follows, while it is active, the owners of rows that functions have moved.

    What is computed from such rows belongs to the same examples. Constants that meet rows in order, as where
    inputs are mixed with others of the batch, leave these in order.

    Args:
        batch: N examples.
        train_size: Examples of the train batch; losses are computed of them and of the others apart.
    """

    def __init__(self, batch: Batch, train_size: int = 0) -> None:
        super().__init__()
        self._size = batch_size(batch)
        self._shares = (slice(train_size), slice(train_size, None))
        self._known: dict[Tensor, Tensor] = WeakTensorKeyDictionary()  # type: ignore[assignment]
        self._data: dict[Tensor, bool] = WeakTensorKeyDictionary()  # type: ignore[assignment]
        for tensor in tensors_of(batch):
            self._data[tensor] = True

    def is_lost(self, tensor: Tensor) -> bool:
        """Return whether a tensor's rows are not those of the examples in order, equally many of each."""
        with suppress(*_UNREADABLE), torch._C.DisableTorchFunction():
            return tensor in self._known and not self._are_in_order(self._known[tensor])
        return False

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
        name = getattr(func, "__name__", "")
        is_plain = isinstance(result, Tensor) and result.requires_grad and not self._known
        if (is_plain and _moving(name) is None) or self._size < 2 or torch.compiler.is_compiling():
            return result
        with suppress(*_UNREADABLE):
            self._note(name, func, args, kwargs, result)
        return result

    def _note(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> None:
        results = list(_tensors(args[0] if name == "__setitem__" else result))
        if not results:
            return
        move, moved = _moving(name), None
        if move is not None:
            if not args and "input" in kwargs:
                args, kwargs = (kwargs["input"],), {key: kwargs[key] for key in kwargs if key != "input"}
            named = {key: value for key, value in kwargs.items() if key != "out"}
            with torch.no_grad():
                moved = self._moved(move, func, args, named, results)
        if moved is not None:
            found = [(each, self._by_row(owners, each)) for each, owners in zip(results, moved, strict=False)]
        elif self._known and name != "__setitem__" and name.strip("_") not in RESTORERS:
            found = self._followed((args, kwargs), results)
        else:
            found = []
        is_written = name == "__setitem__" or (name.endswith("_") and not name.startswith("_"))
        for tensor, owners_T in found:
            self._remember(tensor, owners_T)
            if is_written and tensor._base is not None:
                self._write_through(tensor, tensor._base)
        constants = [each for each in results if not each.requires_grad]
        if constants and any(self._is_of_batch(each) for each in _tensors((args, kwargs))):
            for each in constants:
                self._data[each] = True

    def _moved(
        self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, results: list[Tensor]
    ) -> list[Tensor] | None:
        """Return the owners of each element of the first results; None where no rows were moved."""
        if name in PICKERS:
            return self._picked(name, func, args, kwargs)
        if name in SORTERS:
            return self._sorted(name, args, kwargs, results)
        found = None
        if name in PUTTERS:
            found = self._put(name, args, kwargs)
        elif name in JOINERS:
            found = self._joined(name, func, args, kwargs)
        elif name in PRODUCTS:
            found = self._multiplied(name, results[0], args, kwargs)
        elif name == "einsum":
            found = self._contracted(results[0], args)
        return None if found is None else [found]

    def _picked(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any) -> list[Tensor] | None:
        place, key = PICKERS[name].source
        x = PICKERS[name].argument(args, kwargs)
        if not self._is_followed(x) or not self._is_moved(name, x, args, kwargs):
            return None
        if name == "getitem" and isinstance(args[1], slice) and args[1] in self._shares:
            return None
        owners = self._of(x)
        given = [owners if index == place else each for index, each in enumerate(args)]
        return list(_tensors(func(*given, **(kwargs | {key: owners} if key in kwargs else kwargs))))

    def _sorted(self, name: str, args: Any, kwargs: Any, results: list[Tensor]) -> list[Tensor] | None:
        x = args[0]
        if not self._is_followed(x) or not self._is_moved(name, x, args, kwargs):
            return None
        if name in ("sort", "topk"):
            return [self._of(x).gather(SORTERS[name].dim(args, kwargs), results[1])]
        return [torch.full_like(results[0], NOBODY, dtype=torch.int32)]

    def _put(self, name: str, args: Any, kwargs: Any) -> Tensor | None:
        x, value = args[0], PUTTERS[name].argument(args, kwargs)
        if not self._is_followed(value):
            return None
        are_known = x in self._known or value in self._known
        is_moved = name != "copy" and self._is_moved(name, x, args, kwargs)
        is_mixed = not value.requires_grad and x not in self._known and self._is_followed(x)
        if not is_moved and (not are_known or is_mixed):
            return None
        return put(name, self._of(value), self._of(x), args, kwargs)

    def _joined(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any) -> Tensor | None:
        key = "tensors" if "tensors" in kwargs else "sequences"
        parts, rest = (args or (kwargs[key],))[0], args[1:]
        others = {each: value for each, value in kwargs.items() if each != key}
        is_known = any(part in self._known for part in parts)
        is_by_example = len(parts) == self._size and len({len(part) for part in parts if part.ndim}) > 1
        if not is_known and not is_by_example:
            return None
        owners = [self._of(part) for part in parts]
        if not is_known:
            owners = [torch.full_like(each, index) for index, each in enumerate(owners)]
        joined: Tensor = func(owners, *rest, **others)
        return joined if JOINERS[name](owners, rest, others) == self._axis(joined) else None

    def _multiplied(self, name: str, result: Tensor, args: Any, kwargs: Any) -> Tensor | None:
        left, right = (*args, *kwargs.values())[:2]
        sums = [(left, right, -2), (right, left, -1)]
        if name == "linear":
            sums = [] if isinstance(right, nn.Parameter) else [(right.mT, left, -1)]
        for matrix, x, dim in sums:
            if matrix.requires_grad or min(matrix.ndim, x.ndim) < 2 or not x.requires_grad:
                continue
            if self._is_followed(x) and self._axis(x) == x.ndim + dim:
                matrix = matrix if matrix.layout == torch.strided else matrix.to_dense()
                matrix = matrix if dim == -2 else matrix.mT
                owners_T = self._of(x).movedim(dim, -1).reshape(-1, x.shape[dim])[0]
                owners_R = multiplied(matrix, owners_T, self._in_order(matrix.shape[-2], x.device))
                shape = [len(owners_R) if each == result.ndim + dim else 1 for each in range(result.ndim)]
                return owners_R.view(shape).expand(result.shape)
        return None

    def _contracted(self, result: Tensor, args: Any) -> Tensor | None:
        """Return nobody as the owner of sums over the rows of examples."""
        for place, x in enumerate(_tensors(args[1:])):
            if x.requires_grad and self._is_followed(x) and adds_rows(args[0], place, self._axis(x)):
                return torch.full_like(result, NOBODY, dtype=torch.int32)
        return None

    def _is_moved(self, name: str, x: Tensor, args: Any, kwargs: Any) -> bool:
        """Return whether a call moves rows of a tensor along the dimension of examples.

        Numbers say nothing where a first dimension that is as long may be one over heads or time.
        """
        axis = self._axis(x)
        is_ambiguous = axis == 0 and x.ndim > 2 and self._size in x.shape[1:3]
        return touches(name, x, axis, args, kwargs, is_by_index=is_ambiguous)

    def _followed(self, given: Any, results: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Return results that were computed from rows that were moved, with the owners of their rows."""
        tensors = list(_tensors(given))
        known = {each: owners_T for each in tensors if (owners_T := self._known.get(each)) is not None}
        if not known:
            return []
        owners = [owners_T for each, owners_T in known.items() if each.requires_grad]
        counts = set()
        if not owners:
            owners = list(known.values())
            others = [each for each in tensors if each not in known and self._is_followed(each)]
            counts = {self._rows(each) for each in others}
        return [(each, self._combined(owners, each)) for each in results if self._rows(each) not in counts]

    def _combined(self, known: list[Tensor], result: Tensor) -> Tensor:
        """Return the owners of a result's rows, which were computed from rows of these owners."""
        first, *others = (self._resized(owners_T, result) for owners_T in known)
        for other in others:
            if other is first:
                continue
            if len(other) == len(first):
                first = torch.where(first == other, first, NOBODY)
            elif not self._are_in_order(other):
                first = torch.full_like(first, NOBODY)
        return first

    def _resized(self, owners_T: Tensor, result: Tensor) -> Tensor:
        """Return the owners of a result's rows; all that there are where no shape tells its rows."""
        rows, count = self._rows(result), len(owners_T)
        if rows == count or not rows or not count:
            return owners_T
        if result.ndim and row_axis(result.shape, self._size) is None:
            return owners_T
        if rows % count == 0:
            return owners_T.repeat_interleave(rows // count)
        return _agreed(owners_T.view(rows, -1)) if count % rows == 0 else owners_T

    def _remember(self, x: Tensor, owners_T: Tensor) -> None:
        """Note the owners of a tensor's rows; on CPUs, which need not wait, only if they are out of order."""
        if x.device.type == "cpu" and len(owners_T) == self._rows(x) and self._are_in_order(owners_T):
            self._known.pop(x, None)
        else:
            self._known[x] = owners_T

    def _write_through(self, x: Tensor, base: Tensor) -> None:
        """Note the owners of a tensor's rows of which a view was written."""
        before, written = self._of(base), self._of(x)
        strides, offset = list(x.stride()), x.storage_offset() - base.storage_offset()
        if not base.is_contiguous():
            self._remember(base, before.new_full((1,), NOBODY))
            return
        width = base.shape[-1]
        if self._axis(base) < base.ndim - 1 and x.shape[-1:] == (width,) and strides[-1] == 1:
            before, written, offset = before[..., 0], written[..., 0], offset // width
            strides = [stride // width for stride in strides[:-1]]
        after = before.clone(memory_format=torch.contiguous_format)
        after.as_strided(written.shape, strides, offset).copy_(written)
        self._remember(base, self._by_row(after, base))

    def _is_followed(self, x: Any) -> bool:
        """Return whether a tensor has rows of examples, in order or not."""
        if not isinstance(x, Tensor):
            return False
        is_plain = x.layout == torch.strided and not x.is_nested
        return x in self._known or (
            is_plain and row_axis(x.shape, self._size) is not None and self._is_of_batch(x)
        )

    def _is_of_batch(self, x: Tensor) -> bool:
        """Return whether a tensor was computed from the batch."""
        if isinstance(x, ParameterExpression):
            return x.is_of_batch
        return x in self._data or (x.requires_grad and not isinstance(x, nn.Parameter))

    def _axis(self, x: Tensor) -> int:
        return row_axis(x.shape, self._size) or 0

    def _rows(self, x: Tensor) -> int:
        return x.shape[self._axis(x)] if x.ndim else 1

    def _of(self, x: Tensor) -> Tensor:
        """Return the owner of each element of a tensor."""
        rows, owners = self._rows(x), self._in_order(self._rows(x), x.device)
        if x in self._known:
            known = self._known[x]
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
