"""Follow rows through functions that move them, to know which example each belongs to.

Shapes tell which example a row belongs to where each has equally many, next to each other. An index, a mask
or a concatenation can leave any rows: a batch of texts can happen to pack into a multiple of its size. What
moves rows is called again with the number of the example that owns it in place of each value.

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
    JOINING,
    MULTIPLYING,
    NOBODY,
    ORDERING,
    SELECTING,
    WRITING,
    Move,
    adds_rows,
    agreed,
    contracts_rows,
    index_of,
    indexed_dims,
    multiplied,
    touches,
    written,
)
from l2rw_ray.meta.evaluation.batches import Batch, batch_size
from l2rw_ray.trees import tensors_of

_UNREADABLE = (RuntimeError, TypeError, ValueError, LookupError, AttributeError)
"""What reading a tensor raises inside torch.vmap, on a meta device, or where it is nested or sparse."""
_Owners = list[tuple[Tensor, Tensor]]
"""Tensors, each with the owners of its rows."""


class RowOwners(TorchFunctionMode):
    """Follows, while it is active, the owners of rows that functions have moved.

    What is computed from such rows belongs to the same examples. Constants do not count where they meet rows
    in order, as where inputs are mixed with others of the batch.

    Args:
        batch: N examples.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self._size = batch_size(batch)
        self._known: dict[Tensor, Tensor] = WeakTensorKeyDictionary()  # type: ignore[assignment]
        self._data: dict[Tensor, bool] = WeakTensorKeyDictionary()  # type: ignore[assignment]
        self._seconds: dict[Tensor, bool] = WeakTensorKeyDictionary()  # type: ignore[assignment]
        for tensor in tensors_of(batch):
            self._data[tensor], self._seconds[tensor] = True, False
            base = tensor._base
            if base is not None and self._is_ambiguous(base):
                self._seconds[base] = base.stride(1) == tensor.stride(0) != base.stride(0)

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
        if self._size < 2 or torch.compiler.is_compiling():
            return result
        name = func.__name__ if hasattr(func, "__name__") else ""
        if isinstance(result, Tensor):
            is_plain = result.requires_grad and not self._known and _rule_of(name) is None
            is_plain = is_plain and not self._is_ambiguous(result)
        else:
            is_plain = name != "__setitem__" and (name == "__get__" or not isinstance(result, list | tuple))
        if not is_plain and getattr(func, "namespace", "aten") in ("aten", "prims"):
            self._note(name, func, args, kwargs, result)
        return result

    def _note(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> None:
        """Note whose the rows of a function's results are, and which of these are data of the batch."""
        if not args and "input" in kwargs:
            args, kwargs = (kwargs["input"],), {key: kwargs[key] for key in kwargs if key != "input"}
        results = list(_tensors(args[0] if name == "__setitem__" else result))
        given = list(_tensors((args, kwargs)))
        for tensor, owners_T in self._owners_of(name, func, args, kwargs, given, results):
            self._remember(tensor, owners_T)
            is_written = name == "__setitem__" or (name.endswith("_") and not name.startswith("_"))
            if is_written and tensor._base is not None:
                owners_T = self._nobody(tensor._base)
                with suppress(*_UNREADABLE):
                    owners_T = self._written_base(tensor, tensor._base)
                self._remember(tensor._base, owners_T)
        with suppress(*_UNREADABLE):
            self._note_kinds(given, results)

    def _note_kinds(self, given: list[Tensor], results: list[Tensor]) -> None:
        """Note which results have their examples along the second dimension, and which are data."""
        for each in results:
            if each._base is None and each not in self._seconds and self._is_ambiguous(each):
                alike = [other for other in given if other.shape == each.shape and other is not each]
                self._seconds[each] = any(self._axis(other) for other in alike)
        if any(not each.requires_grad for each in results) and any(map(self._is_of_batch, given)):
            for each in results:
                self._data[each] = True

    def _owners_of(
        self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, given: list[Tensor], results: Any
    ) -> _Owners:
        """Return results whose rows are not known to be in order, with the owners of these."""
        rule, moved = _rule_of(name), None
        short = name.strip("_").partition(".")[0]
        try:
            if rule is not None:
                named = {key: value for key, value in kwargs.items() if key != "out"}
                with torch.no_grad():
                    moved = rule(self, short, func, args, named, results)
            if moved is not None:
                return [(each, self._by_row(part, each)) for each, part in zip(results, moved, strict=False)]
            return self._followed(given, results) if self._known and name != "__setitem__" else []
        except torch.OutOfMemoryError:
            raise
        except _UNREADABLE:
            is_known = rule is not None and any(map(self._is_followed, given))
            return [(each, self._nobody(each)) for each in results] if is_known else []

    def _selected(
        self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, results: list[Tensor]
    ) -> list[Tensor] | None:
        move = SELECTING[name]
        x = move.argument(args, kwargs)
        if not self._is_followed(x) or not self._is_moved(name, move, x, args, kwargs):
            return None
        if name == "repeat_interleave" and len(args) < 2 and "repeats" not in kwargs:
            return None  # it makes an index of numbers
        dims = move.dims(args, kwargs) if name != "getitem" else None
        kept = x.ndim if dims is None or len(dims) > 1 or name in ("gather", "flip") else self._axis(x) + 1
        if name == "getitem":
            kept = max(indexed_dims(index_of(name, args, kwargs), x), self._axis(x) + 1)
        given, named = move.replaced(args, kwargs, self._of(x, kept))
        return list(_tensors(func(*given, **named)))

    def _ordered(
        self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, results: list[Tensor]
    ) -> list[Tensor] | None:
        x, move = args[0], ORDERING[name]
        if not self._is_followed(x) or not self._is_moved(name, move, x, args, kwargs):
            return None
        if name in ("sort", "topk"):
            (dim,) = move.dims(args, kwargs) or [-1]
            return [self._of(x).gather(dim, results[1])]
        return [torch.full_like(results[0], NOBODY, dtype=torch.int32)]

    def _written(
        self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, results: list[Tensor]
    ) -> list[Tensor] | None:
        x, move = args[0], WRITING[name]
        value = move.argument(args, kwargs)
        if not self._is_followed(value):
            return None
        are_known = x in self._known or value in self._known
        is_moved = name != "copy" and self._is_moved(name, move, x, args, kwargs)
        is_mixed = not value.requires_grad and x not in self._known and self._is_followed(x)
        if not is_moved and (not are_known or is_mixed):
            return None
        return [written(name, self._of(value), self._of(x), args, kwargs)]

    def _joined(
        self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, results: list[Tensor]
    ) -> list[Tensor] | None:
        key = "tensors" if "tensors" in kwargs else "sequences"
        parts, rest = (args or (kwargs[key],))[0], args[1:]
        others = {each: value for each, value in kwargs.items() if each != key}
        is_known = any(part in self._known for part in parts)
        if name == "stack" and not is_known and all(part.shape[:1] == (self._size,) for part in parts):
            self._seconds[results[0]] = JOINING[name](parts, rest, others) == 0
        is_by_example = len(parts) == self._size and len({len(part) for part in parts if part.ndim}) > 1
        if not is_known and not is_by_example:
            return None
        owners = [self._of(part) for part in parts]
        if not is_known:
            owners = [torch.full_like(each, index) for index, each in enumerate(owners)]
        joined: Tensor = func(owners, *rest, **others)
        return [joined] if JOINING[name](owners, rest, others) == self._axis(joined) else None

    def _multiplied(
        self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, results: list[Tensor]
    ) -> list[Tensor] | None:
        left, right = (*args, *kwargs.values())[MULTIPLYING[name] :][:2]
        sums = [(left, right, max(-2, -right.ndim)), (right, left, -1)]
        if name == "linear":
            sums = [] if isinstance(right, nn.Parameter) else [(right.mT, left, -1)]
        (result,) = results
        for matrix, x, dim in sums:
            if matrix.requires_grad or not x.requires_grad or not self._is_followed(x):
                continue
            if self._axis(x) != x.ndim + dim:
                continue
            if min(matrix.ndim, x.ndim) < 2:
                return [torch.full_like(result, NOBODY, dtype=torch.int32)]
            matrix = matrix if matrix.layout == torch.strided else matrix.to_dense()
            matrix = matrix if dim == -2 else matrix.mT
            owners_T = self._of(x).movedim(dim, -1).reshape(-1, x.shape[dim])[0]
            owners_R = multiplied(matrix, owners_T, self._in_order(matrix.shape[-2], x.device))
            shape = [len(owners_R) if each == result.ndim + dim else 1 for each in range(result.ndim)]
            return [owners_R.view(shape).expand(result.shape)]
        return None

    def _contracted(
        self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, results: list[Tensor]
    ) -> list[Tensor] | None:
        operands = list(_tensors((args[1:] if name == "einsum" else args[:2], kwargs)))
        for place, x in enumerate(operands):
            if not x.requires_grad or not self._is_followed(x):
                continue
            axis = self._axis(x)
            if name == "einsum":
                is_added = adds_rows(args[0], place, axis)
            elif name == "inner":
                is_added = axis == x.ndim - 1
            else:
                is_added = contracts_rows(
                    args[2] if len(args) > 2 else kwargs.get("dims", 2), place, axis, x.ndim
                )
            if is_added:
                return [torch.full_like(results[0], NOBODY, dtype=torch.int32)]
        return None

    def _in_bags(
        self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, results: list[Tensor]
    ) -> list[Tensor] | None:
        """Return no owners for bags of words, whose offsets tell their examples; nobody for those of rows."""
        table = args[1] if len(args) > 1 else kwargs["weight"]
        if not self._is_followed(table):
            return []
        return [torch.full_like(results[0], NOBODY, dtype=torch.int32)]

    def _padded(
        self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, results: list[Tensor]
    ) -> list[Tensor] | None:
        """Return the owners of sequences, which are those of their first rows."""
        data, sizes = args[:2]
        if data not in self._known:
            return None
        owners = self._of(data)[: int(sizes[0]), :1]
        return [owners.view(-1, 1) if args[2] else owners.view(1, -1)]

    def _is_moved(self, name: str, move: Move, x: Tensor, args: Any, kwargs: Any) -> bool:
        """Return whether a call moves rows of a tensor along the dimension of examples."""
        return touches(name, move, x, self._axis(x), args, kwargs)

    def _followed(self, given: list[Tensor], results: list[Tensor]) -> _Owners:
        """Return results that were computed from rows that were moved, with the owners of their rows."""
        known = {each: owners_T for each in given if (owners_T := self._known.get(each)) is not None}
        if not known:
            return []
        owners = [owners_T for each, owners_T in known.items() if each.requires_grad]
        counts = set()
        if not owners:
            owners = list(known.values())
            others = [each for each in given if each not in known and self._is_followed(each)]
            counts = {self._rows(each) for each in others if each.requires_grad} | {
                self._size for each in others if self._rows(each) == self._size
            }
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
        return agreed(owners_T.view(rows, -1)) if count % rows == 0 else owners_T

    def _remember(self, x: Tensor, owners_T: Tensor) -> None:
        """Note the owners of a tensor's rows; on CPUs, which need not wait, only if they are out of order."""
        is_in_order = False
        if x.device.type == "cpu" and len(owners_T) == self._rows(x):
            with suppress(*_UNREADABLE):
                is_in_order = self._are_in_order(owners_T)
        if is_in_order:
            self._known.pop(x, None)
        else:
            self._known[x] = owners_T

    def _written_base(self, x: Tensor, base: Tensor) -> Tensor:
        """Return the owners of a tensor's rows of which a view was written."""
        if not base.is_contiguous() or not base.numel():
            return self._nobody(base)
        before, view = self._of(base), self._of(x)
        strides, offset = list(x.stride()), x.storage_offset() - base.storage_offset()
        width = base.shape[-1]
        if self._axis(base) < base.ndim - 1 and x.shape[-1:] == (width,) and strides[-1] == 1:
            before, view, offset = before[..., 0], view[..., 0], offset // width
            strides = [stride // width for stride in strides[:-1]]
        after = before.clone(memory_format=torch.contiguous_format)
        after.as_strided(view.shape, strides, offset).copy_(view)
        return self._by_row(after, base)

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
        """Return the dimension over examples; where two may be, that of the tensor which it is a view of."""
        if not self._is_ambiguous(x):
            return row_axis(x.shape, self._size) or 0
        base = x._base
        if x in self._seconds or base is None:
            return int(self._seconds.get(x, False))
        stride = base.stride(self._axis(base)) if base.ndim else 0
        return int(x.stride(1) == stride != x.stride(0))

    def _is_ambiguous(self, x: Tensor) -> bool:
        """Return whether either of the first two dimensions may go over examples."""
        if x.layout != torch.strided or x.is_nested:
            return False
        shape = x.shape[:2]
        return len(shape) == 2 and all(shape) and not any(size % self._size for size in shape)

    def _rows(self, x: Tensor) -> int:
        return x.shape[self._axis(x)] if x.ndim else 1

    def _of(self, x: Tensor, kept: int | None = None) -> Tensor:
        """Return the owner of each element of a tensor; one for all along dimensions after `kept`."""
        rows, owners = self._rows(x), self._in_order(self._rows(x), x.device)
        if x in self._known:
            known = self._known[x]
            if len(known) in (1, rows):
                owners = known
            elif not self._are_in_order(known):
                owners = agreed(known.view(1, -1))
        shape = [len(owners) if dim == self._axis(x) else 1 for dim in range(x.ndim)]
        return owners.reshape(shape).expand(x.shape if kept is None else [*x.shape[:kept], *shape[kept:]])

    def _by_row(self, owners: Tensor, x: Tensor) -> Tensor:
        """Return the owner of each row [T] of a tensor.

        Args:
            owners: Owners of its elements, or one for all along some dimensions.
            x: The tensor.
        """
        if not x.numel():
            return owners.new_empty(0)
        axis, rows = self._axis(x), self._rows(x)
        owners = owners.reshape(*owners.shape, *[1] * (x.ndim - owners.ndim))
        owners = owners.expand([rows if dim == axis else size for dim, size in enumerate(owners.shape)])
        return agreed(owners.movedim(axis, 0).reshape(rows, -1) if x.ndim else owners.reshape(1, 1))

    def _nobody(self, x: Tensor) -> Tensor:
        return torch.full((self._rows(x),), NOBODY, dtype=torch.int32, device=x.device)

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


_RULES: dict[str, Callable[..., list[Tensor] | None]] = {
    **dict.fromkeys(SELECTING, RowOwners._selected),
    **dict.fromkeys(ORDERING, RowOwners._ordered),
    **dict.fromkeys(WRITING, RowOwners._written),
    **dict.fromkeys(JOINING, RowOwners._joined),
    **dict.fromkeys(MULTIPLYING, RowOwners._multiplied),
    **dict.fromkeys(("einsum", "tensordot", "inner"), RowOwners._contracted),
    "embedding_bag": RowOwners._in_bags,
    "pad_packed_sequence": RowOwners._padded,
}
"""What returns the owners of each element of a function's first results; None where no rows were moved."""


@cache
def _rule_of(name: str) -> Callable[..., list[Tensor] | None] | None:
    """Return the rule for a function, in place or not; None where it moves no rows."""
    return _RULES.get(name.strip("_").partition(".")[0])


def _tensors(values: Any) -> Iterator[Tensor]:
    """Iterate over the tensors among arguments or results of a function."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict | list | tuple):
        for each in values.values() if isinstance(values, dict) else values:
            yield from _tensors(each)
