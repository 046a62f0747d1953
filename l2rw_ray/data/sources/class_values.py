"""Which values of a label column are which classes.

Shape suffixes: C classes, K labels, N rows.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.errors import DataError

_FIELD = "trial.data.label"
_MAX_SHOWN = 12
_MAX_CLASSES_OF_FEW = 20
"""Up to so many different numbers may be classes however few rows there are."""


@dataclass(frozen=True)
class Classes:
    """The classes of a source.

    Attributes:
        names: Name of each.
        values: Label of each, text or ascending numbers, [C]; None where labels are the classes' indices.
    """

    names: tuple[str, ...]
    values: Array | None = None

    def indices(self, labels_K: Array) -> Array:
        """Return the class index of each label, int64 [K]; outside 0 to C − 1 where it is no class."""
        is_text = labels_K.dtype.kind == "U"
        if self.values is None:
            return np.full(len(labels_K), -1) if is_text else _whole(labels_K)
        if self.values.dtype.kind == "U":
            labels_K = labels_K if is_text else np.array([number_text(each) for each in labels_K.tolist()])
        elif is_text:
            return np.full(len(labels_K), -1)
        places_K = np.searchsorted(self.values, labels_K).clip(max=len(self.values) - 1)
        return np.where(self.values[places_K] == labels_K, places_K, -1).astype(np.int64)

    @property
    def mapping(self) -> str | None:
        """Which labels became which classes, as a sentence; None where their names say it."""
        if self.values is None or self.values.dtype.kind == "U":
            return None
        labels = [number_text(value) for value in self.values.tolist()]
        return f"labels {_listed(labels)} are the classes {_listed(self._numbered(labels))}"

    def _numbered(self, labels: Sequence[str]) -> list[str]:
        return [
            str(index) if name == label else f"{index} ({name})"
            for index, (name, label) in enumerate(zip(self.names, labels, strict=True))
        ]

    @property
    def remedy(self) -> str:
        """What to do about a label that is none of them."""
        if self.values is None:
            return "use labels from 0 to classes − 1, or none where it is not known, or fix the class_names"
        shown = self.values.tolist()
        return f"fix the row; the labels of train are {_listed([number_text(value) for value in shown])}"


def find_classes(labels_K: Array, names: Sequence[str] | None, stated: Sequence[str] | None) -> Classes:
    """Return the classes of usable labels.

    Text labels are classes in sorted order. Numbers are indices if they are 0 to C − 1, or names are in the
    metadata; a negative or very large one beside these is none, since it often stands for an unknown label.
    Other numbers are classes in ascending order.

    Args:
        labels_K: The labels, text or numbers.
        names: Names that the study gives.
        stated: Names in the metadata of the files.

    Raises:
        DataError: Names do not fit the labels, or there are too many different numbers to be classes.
    """
    values = np.unique(labels_K)
    if values.dtype.kind == "U":
        if names is not None:
            problem = "labels are text, which names their classes"
            raise DataError("trial.data.class_names", list(names), problem, "leave it out")
        return Classes(tuple(values.tolist()), values)
    count = _index_count(values, len(labels_K))
    if names is not None:
        return _named(values, tuple(names), count)
    if stated is not None:
        return Classes(tuple(stated))
    if count is not None:
        return Classes(tuple(map(str, range(count))))
    if len(values) > max(_MAX_CLASSES_OF_FEW, len(labels_K) // 2):
        problem = f"{len(values):,} different numbers in {len(labels_K):,} rows are no classes"
        raise DataError(_FIELD, "", problem, "name another column, or name it as target for a regression")
    return Classes(tuple(number_text(value) for value in values.tolist()), values)


def look_alikes(names: Sequence[str]) -> Iterator[str]:
    """Yield a sentence on each set of classes whose names differ only in case, white space or form."""
    alike = defaultdict[str, list[str]](list)
    for name in names:
        alike[" ".join(unicodedata.normalize("NFKC", name).casefold().split())].append(name)
    for same in alike.values():
        if len(same) > 1:
            yield f"classes {_listed([repr(name) for name in same])} differ only in how they are written"


def number_text(value: object) -> str:
    """Return a label as text; a whole number without decimals."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _index_count(values: Array, rows: int) -> int | None:
    """Return the number of classes whose indices are the ascending values; None where they are none.

    A negative one, or one above the number of rows, is no class beside indices of at least two.
    """
    own = values[(values >= 0) & (values < rows)]
    if values.dtype.kind == "f" or not len(own) or own[-1] != len(own) - 1:
        return None
    return len(own) if len(own) == len(values) or len(own) > 1 else None


def _named(values: Array, names: tuple[str, ...], count: int | None) -> Classes:
    are_indices = values.dtype.kind == "i" and bool(((values >= 0) & (values < len(names))).all())
    if are_indices or (count is not None and count <= len(names) < len(values)):
        return Classes(names)
    if len(values) == len(names):
        return Classes(names, values)
    problem = f"{len(names)} names for {len(values)} different labels"
    shown = _listed([number_text(value) for value in values.tolist()])
    raise DataError("trial.data.class_names", list(names), problem, f"name each of {shown}")


def _whole(numbers_K: Array) -> Array:
    """Return whole numbers as int64 and −1 for others."""
    return np.where(np.mod(numbers_K, 1) == 0, numbers_K, -1).astype(np.int64)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MAX_SHOWN
    return ", ".join(names[:_MAX_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
