"""Check the given labels, verified labels, pools and identities of a custom source."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from l2rw_ray.data.row_ids import RowIds
from l2rw_ray.data.source import NO_CLASS, Source

Fault = tuple[str, str]
"""A problem and its remedy."""


def trust_fault(source: Source) -> Fault | None:
    """Return the first fault of a source in these; None where there is none."""
    return next(_faults(source), None)


def _faults(source: Source) -> Iterator[Fault]:
    count = len(source.labels)
    if source.train_labels is not None and source.targets is not None:
        yield "has targets, and train_labels", "give train_labels to classes only, and train_targets here"
    if source.train_targets is not None and source.targets is None:
        yield "has train_targets, and no targets", "make it by regression_source"
    if source.train_labels is not None:
        yield from _label_faults(source.train_labels, count, len(source.class_names))
    for name, dtype in (("train_targets", torch.float32), ("verified", torch.bool)):
        given: object = getattr(source, name)
        if given is not None and not _has_form(given, dtype, count):
            kind = str(dtype).removeprefix("torch.")
            yield f"{name} are {_described(given)}", f"give {kind} [{count}], or None"
    for name, rows in source.pools.items():
        if name not in ("meta", "validation") or not 0 <= rows.start < rows.stop <= count or rows.step != 1:
            yield f"pools have {name} in {rows}", f"give ranges below {count} to meta and validation"
        elif source.verified is not None and not source.verified[rows.start : rows.stop].all():
            yield f"pools have {name} examples that are not verified", "leave those out of the pool"
    yield from _id_faults("ids", source.ids, count)
    if source.test_labels is not None:
        yield from _id_faults("test_ids", source.test_ids, len(source.test_labels))


def _label_faults(labels: object, count: int, classes: int) -> Iterator[Fault]:
    if not _has_form(labels, torch.int64, count):
        yield f"train_labels are {_described(labels)}", f"give class indices as int64 [{count}]"
        return
    assert isinstance(labels, Tensor)
    if count and not NO_CLASS <= int(labels.min()) <= int(labels.max()) < classes:
        problem = f"train_labels reach from {int(labels.min())} to {int(labels.max())}"
        yield problem, f"give indices below {classes}, the number of class_names, or {NO_CLASS} for none"


def _id_faults(name: str, ids: RowIds | None, count: int) -> Iterator[Fault]:
    if ids is None:
        return
    given: object = ids
    if not isinstance(given, Sequence) or len(given) != count or not all(isinstance(i, str) for i in given):
        yield f"{name} are no {count} texts", "give a text for each example, or None"
    elif len(set(given)) < count:
        yield f"{name} occur more than once", "give each example one of its own"


def _has_form(given: object, dtype: torch.dtype, count: int) -> bool:
    return isinstance(given, Tensor) and given.dtype == dtype and given.shape == (count,)


def _described(value: object) -> str:
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
