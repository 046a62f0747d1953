"""Follow rows through functions that move them, to know which example each belongs to.

Shapes tell which example a row belongs to where each has equally many, next to each other. An index, a mask
or a concatenation can leave any rows: a batch of texts can happen to pack into a multiple of its size. What
moves rows is called again with the number of the example that owns it in place of each value.

Shape suffixes: N examples, T rows.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode, _pop_mode_temporarily

from l2rw_ray.meta.alignment.layers.functions import tensors_in
from l2rw_ray.meta.alignment.row_moves import (
    JOINING,
    MULTIPLYING,
    NOBODY,
    ORDERING,
    SELECTING,
    WRITING,
    Move,
    adds_rows,
    contracts_rows,
    index_of,
    indexed_dims,
    multiplied,
    touches,
    written,
)
from l2rw_ray.meta.alignment.row_records import UNREADABLE, Owners, RowRecords
from l2rw_ray.meta.evaluation.batches import Batch


class RowOwners(RowRecords, TorchFunctionMode):
    """Follows, while it is active, the owners of rows that functions have moved.

    What is computed from such rows belongs to the same examples. Constants do not count where they meet rows
    in order, as where inputs are mixed with others of the batch.

    Args:
        batch: N examples.
    """

    def __init__(self, batch: Batch) -> None:
        TorchFunctionMode.__init__(self)
        RowRecords.__init__(self, batch)

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
            try:
                self._note(name, func, args, kwargs, result)
            except torch.OutOfMemoryError:
                raise
            except UNREADABLE:  # a tensor without rows, as where tensors are nested
                return result
        return result

    def paused(self) -> AbstractContextManager[object]:
        """Return a context in which functions are not followed, unless a mode was entered since."""
        is_last = not torch.compiler.is_compiling() and _get_current_function_mode() is self
        return _pop_mode_temporarily() if is_last else nullcontext()

    def _note(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> None:
        """Note whose the rows of a function's results are, and which of these are data of the batch."""
        if not args and "input" in kwargs:
            args, kwargs = (kwargs["input"],), {key: kwargs[key] for key in kwargs if key != "input"}
        results = tensors_in(args[0] if name == "__setitem__" else result)
        given = tensors_in((args, kwargs))
        for tensor, owners_T in self._owners_of(name, func, args, kwargs, given, results):
            self._remember(tensor, owners_T)
            is_written = name == "__setitem__" or (name.endswith("_") and not name.startswith("_"))
            if is_written and tensor._base is not None:
                owners_T = self._nobody(tensor._base)
                with suppress(*UNREADABLE):
                    owners_T = self._written_base(tensor, tensor._base)
                self._remember(tensor._base, owners_T)
        with suppress(*UNREADABLE):
            self._note_kinds(given, results)

    def _owners_of(
        self, name: str, func: Callable[..., Any], args: Any, kwargs: Any, given: list[Tensor], results: Any
    ) -> Owners:
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
        except UNREADABLE:
            is_known = any(each in self._known or (rule and self._is_followed(each)) for each in given)
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
        for each in results if self._axis(x) == 0 else ():
            self._is_second[each] = False  # however many features they have
        return tensors_in(func(*given, **named))

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
            self._is_second[results[0]] = JOINING[name](parts, rest, others) == 0
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
                return [self._of_sum(x, result)]
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
        operands = tensors_in((args[1:] if name == "einsum" else args[:2], kwargs))
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
                return [self._of_sum(x, results[0])]
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
