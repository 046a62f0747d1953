"""Which example each row of a tensor belongs to, as far as functions have moved rows.

Shapes tell which example a row belongs to where each has equally many, next to each other.

Shape suffixes: N examples, T rows.
"""

from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from l2rw_ray.meta.alignment.layers import ParameterExpression, row_axis
from l2rw_ray.meta.alignment.row_moves import NOBODY, agreed
from l2rw_ray.meta.evaluation.batches import Batch, batch_size
from l2rw_ray.trees import tensors_of

UNREADABLE = (RuntimeError, TypeError, ValueError, LookupError, AttributeError)
"""What reading a tensor raises inside torch.vmap, on a meta device, or where it is nested or sparse."""
Owners = list[tuple[Tensor, Tensor]]
"""Tensors, each with the owners of its rows."""


class RowRecords:
    """Owners of rows, tensors that are data of the batch, and those with examples along the second dimension.

    No tensor is kept alive.

    Args:
        batch: N examples.
    """

    def __init__(self, batch: Batch) -> None:
        self._size = batch_size(batch)
        self._known: MutableMapping[Tensor, Tensor] = WeakTensorKeyDictionary()
        self._data: MutableMapping[Tensor, bool] = WeakTensorKeyDictionary()
        self._is_second: MutableMapping[Tensor, bool] = WeakTensorKeyDictionary()
        for tensor in tensors_of(batch):
            self._data[tensor], self._is_second[tensor] = True, False
            base = tensor._base
            if base is not None and self._is_ambiguous(base):
                self._is_second[base] = self._stride(base, 1) == tensor.stride(0) != self._stride(base, 0)

    def is_lost(self, tensor: Tensor) -> bool:
        """Return whether a tensor's rows are not those of the examples in order, equally many of each."""
        if self._known:
            with suppress(*UNREADABLE), torch._C.DisableTorchFunction():
                return tensor in self._known and not self._are_in_order(self._known[tensor])
        return False

    def _followed(self, given: list[Tensor], results: list[Tensor]) -> Owners:
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
            with suppress(*UNREADABLE):
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

    def _note_kinds(self, given: list[Tensor], results: list[Tensor]) -> None:
        """Note which results have their examples along the second dimension, and which are data."""
        for each in results:
            if each._base is None and each not in self._is_second and self._is_ambiguous(each):
                sources = [
                    source
                    for source in given
                    if source is not each
                    and source.shape[:1] == each.shape[:1]
                    and (source in self._known or self._is_ambiguous(source))
                ]
                if sources:
                    self._is_second[each] = any(map(self._axis, sources))
        if any(not each.requires_grad for each in results) and any(map(self._is_of_batch, given)):
            for each in results:
                self._data[each] = True

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
        by_shape = row_axis(x.shape, self._size) or 0
        if not self._is_ambiguous(x):
            return by_shape
        base = x._base
        if x in self._is_second or base is None:
            return int(self._is_second.get(x, by_shape))
        stride = self._stride(base, self._axis(base)) if base.ndim else 0
        is_first, is_second = (self._stride(x, dim) == stride for dim in (0, 1))
        return by_shape if is_first == is_second else int(is_second)

    def _stride(self, x: Tensor, dim: int) -> int:
        """Return how far the examples are from each other in memory, if they lie along a dimension."""
        return x.stride(dim) * (x.shape[dim] // self._size)

    def _is_ambiguous(self, x: Tensor) -> bool:
        """Return whether either of the first two dimensions may go over examples."""
        if x.layout != torch.strided or x.is_nested or x.ndim < 2:
            return False
        rows, others = x.shape[:2]
        is_either = rows % self._size == 0 and others % self._size == 0
        return rows > 0 and others > 0 and (is_either or others == self._size)

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

    def _of_sum(self, x: Tensor, result: Tensor) -> Tensor:
        """Return the owner of each element of a result that adds up rows: who owns them all, or nobody."""
        return agreed(self._of(x).reshape(1, -1)).view([1] * result.ndim).expand(result.shape)

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
