"""Batches: trees of tensors that hold one row per example, such as a pair of inputs and targets."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from l2rw_ray.errors import InputError
from l2rw_ray.trees import is_record, rebuilt, tensors_of

Batch = Any
"""A pytree whose tensors hold one row per example, such as a pair of inputs [B, …] and targets [B, …]."""

Collate = Callable[[Batch, Batch], Batch]
"""Joins a train and a meta batch, the train rows first."""

_REMEDY = "give tensors whose first dimension counts the examples"


def batch_size(batch: Batch) -> int:
    """Return the number of examples."""
    return next(tensors_of(batch)).size(0)


def batch_device(batch: Batch) -> torch.device:
    """Return the device of a batch's first tensor."""
    return next(tensors_of(batch)).device


def checked_batch(name: str, batch: Batch) -> Batch:
    """Check that a batch has tensors and that all have the same number of rows; return the batch.

    Args:
        name: What the user calls it, for the error.
        batch: What the user gave.

    Raises:
        InputError: It has none, or their numbers of rows differ.
    """
    sizes = [tensor.size(0) for tensor in tensors_of(batch)]
    if not sizes:
        raise InputError(name, type(batch).__name__, "it holds no tensor with rows", _REMEDY)
    if len(set(sizes)) > 1:
        shapes = " and ".join(str(list(tensor.shape)) for tensor in tensors_of(batch))
        raise InputError(name, shapes, "its tensors differ in their number of rows", _REMEDY)
    return batch


def checked_by_example(name: str, values_B: Tensor, size: int | None = None) -> Tensor:
    """Check that a tensor has one number for each example, [B]; return it.

    Args:
        name: What the user calls it, for the error.
        values_B: What the user gave.
        size: B; None for any number.

    Raises:
        InputError: It is anything else.
    """
    remedy = (
        "give a tensor of one for each example" if size is None else f"give one for each of {size} examples"
    )
    if not isinstance(values_B, Tensor):
        raise InputError(name, type(values_B).__name__, "no tensor", remedy)
    if values_B.ndim != 1 or len(values_B) != (len(values_B) if size is None else size):
        raise InputError(name, list(values_B.shape), "not one number for each example", remedy)
    return values_B


def checked_pair(name: str, batch: Batch) -> tuple[Any, Any]:
    """Check that a batch is a pair of inputs and targets, for a loss of output and target; return it.

    Raises:
        InputError: It is anything else.
    """
    remedy = (
        "give a pair: inputs [B, …] and targets [B, …]; or pass losses=, which maps (model, batch) to [B]"
    )
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        kinds = [type(part).__name__ for part in batch] if isinstance(batch, tuple | list) else []
        found = ", ".join(kinds) or type(batch).__name__
        raise InputError(name, found, "no inputs and targets", remedy)
    return batch[0], batch[1]


def joined(first: Batch, second: Batch) -> Batch | None:
    """Return both batches as one, the rows of the second behind those of the first.

    Returns:
        None where they do not fit: another structure, another type, rows of another shape, or constants
        that differ.
    """
    try:
        return _joined(first, second, batch_size(first))
    except _MismatchError:
        return None


class _MismatchError(Exception):
    """Two batches cannot be one."""


def _joined(first: Any, second: Any, size: int) -> Any:
    if type(first) is not type(second):
        raise _MismatchError
    if isinstance(first, Tensor):
        is_plain = not (first.is_nested or second.is_nested or first.is_sparse or second.is_sparse)
        same = is_plain and first.shape[1:] == second.shape[1:] and first.dtype == second.dtype
        if not same or first.device != second.device:
            raise _MismatchError
        if not first.ndim:
            return _constant(first, second, equal=torch.equal(first, second))
        return torch.cat((first, second))
    if isinstance(first, Mapping):
        if first.keys() != second.keys():
            raise _MismatchError
        return rebuilt(first, {key: _joined(value, second[key], size) for key, value in first.items()})
    if isinstance(first, list | tuple):
        # numbers or names of the examples are no constants, though the batches may have the same
        is_by_example = len(first) == size and not any(True for _ in tensors_of(first))
        if len(first) != len(second) or is_by_example:
            raise _MismatchError
        return rebuilt(first, [_joined(*pair, size) for pair in zip(first, second, strict=True)])
    if is_record(first):
        names = [field.name for field in dataclasses.fields(first) if field.init]
        return dataclasses.replace(
            first, **{name: _joined(getattr(first, name), getattr(second, name), size) for name in names}
        )
    return _constant(first, second, equal=first is second or bool(first == second))


def _constant(first: Any, second: Any, *, equal: bool) -> Any:
    if not equal:
        raise _MismatchError
    return first


def cycle_batches(loader: Iterable[Batch]) -> Iterator[Batch]:
    """Iterate over a loader's batches without end, one pass after another, as for the meta set.

    Unlike `itertools.cycle` it keeps no batch: a loader that shuffles does so in every pass. A sampler with
    `set_epoch`, such as DistributedSampler, gets the number of the pass.

    Args:
        loader: What can be iterated over again and again, such as a DataLoader.

    Raises:
        InputError: It cannot be iterated over, or a pass has no batch.
    """
    if not (isinstance(loader, Iterable) or hasattr(loader, "__getitem__")):
        problem = "it cannot be iterated over"
        raise InputError("loader", type(loader).__name__, problem, "give a loader, or a list of batches")
    set_epoch = getattr(getattr(loader, "sampler", None), "set_epoch", None)
    for epoch in itertools.count():
        if set_epoch is not None:
            set_epoch(epoch)
        batch = None
        for batch in loader:
            yield batch
        if batch is None:
            remedy = "give a loader, or a list of batches, that can be iterated over more than once"
            raise InputError("loader", type(loader).__name__, f"pass {epoch + 1} has no batch", remedy)
