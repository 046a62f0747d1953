"""Follow indices and masks through a pass: which tensors no longer have the examples' rows in order.

Shapes tell whose row is whose where each example has equally many, one example's next to each other. An
index or a mask can pick any rows, and a batch of texts can happen to pack into a multiple of its size.
Whether picked rows are still in order is read from the index itself, on every pass. What is computed from
rows that are not in order is taken to have the same ones, until it is written into another tensor.

Shape suffixes: N examples, T rows.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from l2rw_ray.trees import tensors_of

_OTHER_ROWS = {
    *("setitem", "index_add", "index_copy", "index_put", "scatter", "scatter_add", "scatter_reduce"),
    *("segment_reduce", "stack", "pad_sequence", "pad_packed_sequence"),
}
"""Functions whose value has not the rows of what they are given, but those of where it is put."""


class RowOrder(TorchFunctionMode):
    """Finds out, while it is active, which tensors do not have the examples' rows in order.

    Args:
        size: N.
        is_of_batch: Whether a tensor seems to have rows of examples.
    """

    def __init__(self, size: int, is_of_batch: Callable[[Tensor], bool]) -> None:
        super().__init__()
        self._size, self._is_of_batch = size, is_of_batch
        self._lost: dict[int, Tensor] = {}

    def is_lost(self, tensor: Tensor) -> bool:
        """Return whether the rows of a tensor are not the examples' in order, equally many of each."""
        return id(tensor) in self._lost

    def __exit__(self, *error: Any) -> None:
        """Forget all tensors."""
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._lost.clear()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch, and look at what it did to rows."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if torch.compiler.is_compiling():
            return result
        is_picked = name in _PICKERS and bool(args) and self._has_rows(args[0])
        if is_picked and not _PICKERS[name](self._size, *args, **kwargs):
            self._lost |= {id(tensor): tensor for tensor in tensors_of(result)}
        elif self._lost and name.strip("_") not in _OTHER_ROWS:
            self._follow((args, kwargs), result)
        return result

    def _has_rows(self, x: Any) -> bool:
        """Return whether an argument has rows of examples, or is a list with a part for each of them."""
        if isinstance(x, list | tuple):
            return len(x) == self._size
        is_table = not isinstance(x, Tensor) or isinstance(x, nn.Parameter) or not x.ndim
        has_rows = not is_table and self._size > 0 and len(x) % self._size == 0
        return has_rows and self._is_of_batch(x)

    def _follow(self, given: Any, result: Any) -> None:
        """Note results that have the rows of an argument that is lost, or a multiple or a part of them."""
        lengths = [len(tensor) for tensor in tensors_of(given) if self.is_lost(tensor)]
        for tensor in tensors_of(result) if lengths else ():
            if any(max(rows, len(tensor)) % max(min(rows, len(tensor)), 1) == 0 for rows in lengths):
                self._lost[id(tensor)] = tensor


def _getitem(size: int, x: Tensor, index: Any) -> bool:
    """Return whether `x[index]` has its rows in order."""
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


def _masked_select(size: int, x: Tensor, mask: Tensor, **_: Any) -> bool:
    return _has_equal_parts(size, mask.expand_as(x))


def _index_select(size: int, x: Tensor, dim: int, index: Tensor, **_: Any) -> bool:
    return dim not in (0, -x.ndim) or _is_in_order(size, x, index)


def _take_along_dim(size: int, x: Tensor, indices: Tensor, dim: int | None = None, **_: Any) -> bool:
    return dim is not None and _index_select(size, x, dim, indices)


def _repeat_interleave(size: int, x: Tensor, repeats: Any, dim: int | None = None, **_: Any) -> bool:
    is_even = not isinstance(repeats, Tensor) or not repeats.ndim or len(repeats) == 1
    return is_even or dim not in (None, 0, -x.ndim) or _has_equal_parts(size, repeats)


def _cat(size: int, tensors: Sequence[Tensor], dim: int = 0, **_: Any) -> bool:
    """Return whether parts of as many rows, one for each example, are put behind each other."""
    return dim not in (0, -tensors[0].ndim) or len({len(part) for part in tensors}) == 1


def _pack(size: int, *_: Any, **__: Any) -> bool:
    """Return that packed sequences are in order of time."""
    return False


def _has_equal_parts(size: int, counts: Tensor) -> bool:
    """Return whether the examples' parts of counts, or of a mask, have the same sum."""
    if len(counts) % size:
        return False
    sums_N = counts.reshape(size, -1).sum(dim=1)
    return bool((sums_N == sums_N[0]).all())


def _is_in_order(size: int, x: Tensor, index: Tensor) -> bool:
    """Return whether an index picks equally many rows of each example, one example's after another's."""
    if not len(index) or len(index) % size:
        return False
    owner = (index.reshape(len(index), -1) % len(x)) // (len(x) // size)
    ordered_T = torch.arange(size, device=owner.device).repeat_interleave(len(index) // size)
    return bool((owner == ordered_T.unsqueeze(1)).all())


_PICKERS: dict[str, Callable[..., bool]] = {
    "__getitem__": _getitem,
    "masked_select": _masked_select,
    "index_select": _index_select,
    "gather": _index_select,
    "take_along_dim": _take_along_dim,
    "repeat_interleave": _repeat_interleave,
    "cat": _cat,
    "concat": _cat,
    "_pack_padded_sequence": _pack,
}
"""Functions that pick rows, and what tells whether they are then in order."""
