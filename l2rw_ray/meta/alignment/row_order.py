"""Read from indices and masks whether the rows that they pick are still in the order of the examples.

Shapes tell which row belongs to which example where all have equally many, those of one next to each other.
An index or a mask can pick any rows: a batch of texts can happen to pack into a multiple of its size.
What is computed from rows that are out of order is taken to have the same rows, until it is put into
another tensor.

Shape suffixes: N examples, T rows.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from l2rw_ray.meta.evaluation.batches import Batch, batch_size
from l2rw_ray.trees import tensors_of

_PUTTING = {
    *("setitem", "index_add", "index_copy", "index_put", "scatter", "scatter_add", "scatter_reduce"),
    *("segment_reduce", "pad_sequence", "pad_packed_sequence"),
}
"""Functions that put rows where an index, or their place in a list, says."""
_KEEPING = {"getitem", "narrow", "split", "chunk", "pad", "cat", "concat", "concatenate"}
"""Functions that leave rows out or add some, so that their number tells nothing."""
_UNREADABLE = (RuntimeError, TypeError, ValueError, IndexError)
"""What reading a tensor raises inside torch.vmap, on a meta device, or where it is nested or sparse."""


class RowOrder(TorchFunctionMode):
    """Follows, while it is active, which tensors have rows that an index has picked.

    Args:
        batch: N examples.

    Attributes:
        has_picked: Whether a function has picked rows of the batch, in whatever order.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self._size = batch_size(batch)
        self._storages = {_storage(tensor) for tensor in tensors_of(batch)}
        self._picked: dict[int, tuple[Tensor, Tensor | bool]] = {}
        self.has_picked = False

    def is_lost(self, tensor: Tensor) -> bool:
        """Return whether a tensor's rows are not those of the examples in order, equally many of each."""
        _, is_in_order = self._picked.get(id(tensor), (tensor, True))
        try:
            return not is_in_order
        except _UNREADABLE:
            return False

    def __exit__(self, *error: Any) -> None:
        """Forget all tensors."""
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._picked.clear()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch, and note whether its result has the examples' rows in order."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if (self._picked or name in _PICKERS) and not torch.compiler.is_compiling():
            with suppress(*_UNREADABLE):
                self._note(name, args, kwargs, result)
        return result

    def _note(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        is_pick = name in _PICKERS and (name != "__getitem__" or _is_picking(args[1]))
        is_in_order = self._read(_PICKERS[name], args, kwargs) if is_pick else True
        if is_in_order is not True:
            self._picked |= {id(tensor): (tensor, is_in_order) for tensor in tensors_of(result)}
        elif name == "__setitem__" and not _is_picking(args[1]):
            self._follow(args[2], args[0], is_kept=True)
        elif self._picked and name.strip("_") not in _PUTTING and not _is_stack_of_rows(name, args, kwargs):
            self._follow((args, kwargs), result, is_kept=name.strip("_") in _KEEPING)

    def _read(self, picker: Callable[..., Tensor | bool], args: Any, kwargs: Any) -> Tensor | bool:
        """Return whether a function picks rows in order; True where they are not rows of examples."""
        named = {name: value for name, value in kwargs.items() if name not in ("input", "tensors")}
        x, *others = args or (kwargs.get("input", kwargs.get("tensors")),)
        if not self._has_rows(x):
            return True
        self.has_picked = True
        return picker(self._size, x, *others, **named)

    def _has_rows(self, x: Any) -> bool:
        """Return whether an argument has rows of examples, or is a list with a part for each of them."""
        if isinstance(x, list | tuple):
            return len(x) == self._size > 2  # two parts are as likely two inputs
        if not isinstance(x, Tensor) or x.layout != torch.strided or x.is_nested or not x.ndim:
            return False
        is_of_batch = getattr(x, "is_of_batch", x.requires_grad) or _storage(x) in self._storages
        return is_of_batch and self._size > 0 and len(x) % self._size == 0

    def _follow(self, given: Any, result: Any, *, is_kept: bool) -> None:
        """Note results that have the rows of a picked argument, or a multiple or a part of them.

        Those that it meets row by row may be in order, as where inputs are mixed with others of the batch.
        """
        tensors = list(tensors_of(given))
        picked = [self._picked[id(tensor)] for tensor in tensors if id(tensor) in self._picked]
        if not picked:
            return
        others = [each for each in tensors if id(each) not in self._picked]
        ordered = {len(each) for each in others if self._has_rows(each)}
        shapes = {each.shape for each in others if len(each) == self._size}
        for tensor in tensors_of(result):
            rows, is_mixed = len(tensor), tensor.shape in shapes
            if (
                is_mixed
                or rows in ordered
                or not any(is_kept or _is_multiple(len(part), rows) for part, _ in picked)
            ):
                continue
            before = self._picked.get(id(tensor), (tensor, True))[1]
            for _, is_in_order in picked:
                before = is_in_order if before is True else before & is_in_order
            self._picked[id(tensor)] = tensor, before


def _is_multiple(rows: int, others: int) -> bool:
    """Return whether one of two numbers of rows is a multiple of the other."""
    return min(rows, others) > 0 and max(rows, others) % min(rows, others) == 0


def _is_picking(index: Any) -> bool:
    """Return whether an index picks rows, rather than a range of them."""
    first = index[0] if isinstance(index, tuple) and index else index
    return isinstance(first, Tensor | list | np.ndarray | int)


def _is_stack_of_rows(name: str, args: Any, kwargs: Any) -> bool:
    """Return whether a function makes each of some tensors a row."""
    return name == "stack" and not (args[1] if len(args) > 1 else kwargs.get("dim", 0))


def _storage(tensor: Tensor) -> int:
    return 0 if tensor.is_nested or tensor.layout != torch.strided else tensor.untyped_storage().data_ptr()


def _getitem(size: int, x: Tensor, index: Any) -> Tensor | bool:
    given = index if isinstance(index, tuple) else (index,)
    first = given[0] if given else None
    if isinstance(first, list | np.ndarray):
        first = torch.as_tensor(first)
    if not isinstance(first, Tensor) or not first.ndim:
        return True
    if first.dtype in (torch.bool, torch.uint8):
        return _has_equal_parts(size, first)
    others = [torch.as_tensor(each) for each in given[1:] if isinstance(each, Tensor | list | np.ndarray)]
    shape = torch.broadcast_shapes(first.shape, *(each.shape for each in others))
    return _is_in_order(size, x, first.expand(shape))


def _masked_select(size: int, x: Tensor, mask: Tensor, **_: Any) -> Tensor | bool:
    return _has_equal_parts(size, torch.broadcast_tensors(x, mask)[1])


def _index_select(size: int, x: Tensor, dim: int, index: Tensor, **_: Any) -> Tensor | bool:
    return dim not in (0, -x.ndim) or _is_in_order(size, x, index)


def _take_along_dim(size: int, x: Tensor, indices: Tensor, dim: int | None = None, **_: Any) -> Tensor | bool:
    return dim is not None and _index_select(size, x, dim, indices)


def _repeat_interleave(
    size: int, x: Tensor, repeats: Any = 1, dim: int | None = None, **_: Any
) -> Tensor | bool:
    is_even = not isinstance(repeats, Tensor) or not repeats.ndim or len(repeats) == 1
    return is_even or dim not in (None, 0, -x.ndim) or _has_equal_parts(size, repeats)


def _cat(size: int, tensors: Sequence[Tensor], dim: int = 0, **_: Any) -> bool:
    """Return whether the parts, one for each example, have as many rows as each other."""
    return dim not in (0, -tensors[0].ndim) or len({len(part) for part in tensors}) == 1


def _pack(size: int, *_: Any, **__: Any) -> bool:
    """Return False: packed sequences are in order of time."""
    return False


def _has_equal_parts(size: int, counts: Tensor) -> Tensor | bool:
    """Return whether the examples' parts of counts, or of a mask, have the same sum."""
    if len(counts) % size:
        return False
    sums_N = counts.reshape(size, -1).sum(dim=1)
    return (sums_N == sums_N[0]).all()


def _is_in_order(size: int, x: Tensor, index: Tensor) -> Tensor | bool:
    """Return whether an index picks equally many rows of each example, one example's after another's."""
    if not index.ndim:
        return True
    if not len(index) or len(index) % size:
        return False
    owner = (index.reshape(len(index), -1) % len(x)) // (len(x) // size)
    ordered_T = torch.arange(size, device=owner.device).repeat_interleave(len(index) // size)
    return (owner == ordered_T.unsqueeze(1)).all()


_PICKERS: dict[str, Callable[..., Tensor | bool]] = {
    "__getitem__": _getitem,
    "masked_select": _masked_select,
    "index_select": _index_select,
    "gather": _index_select,
    "take_along_dim": _take_along_dim,
    "repeat_interleave": _repeat_interleave,
    "cat": _cat,
    "concat": _cat,
    "concatenate": _cat,
    "vstack": _cat,
    "_pack_padded_sequence": _pack,
}
"""Functions that pick rows, and what returns whether these are in order: a bool, or a tensor of one."""
