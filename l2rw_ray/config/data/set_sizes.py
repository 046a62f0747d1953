"""Sizes of the four sets beside the size of their source."""

from typing import NamedTuple, Protocol

from l2rw_ray.config.section import Misfit


class SetSizes(Protocol):
    """The sizes that a `data` section gives its sets; null where the source decides."""

    @property
    def train_size(self) -> int | None:
        """Of the train set."""

    @property
    def meta_per_class(self) -> int | None:
        """Of the meta set, for each class."""

    @property
    def validation_size(self) -> int | None:
        """Of the validation set."""

    @property
    def test_size(self) -> int | None:
        """Of the test set."""


class RowCounts(NamedTuple):
    """Examples of a source, at most.

    Attributes:
        train: Those that the train set is drawn from, and all sets without a file of their own.
        test: Those of its own test file; None where it has none.
    """

    train: int
    test: int | None = None


def size_misfit(data: SetSizes, counts: RowCounts) -> Misfit | None:
    """Return the set that is larger than its source, alone or with others; None where all may fit.

    Args:
        data: A section in which no set but the test set has a file of its own.
        counts: Examples of its source.
    """
    if counts.test is not None and (data.test_size or 0) > counts.test:
        problem = f"the test file has {counts.test:,} examples"
        return Misfit("test_size", data.test_size, problem, "lower it, or use null for all")
    sizes = {name: getattr(data, name) or 0 for name in ("train_size", "validation_size", "meta_per_class")}
    sizes |= {"test_size": data.test_size or 0} if counts.test is None else {}
    needed = sum(sizes.values())
    if needed <= counts.train:
        return None
    field = max(sizes, key=lambda name: sizes[name])
    problem = f"the source has {counts.train:,} examples, and the sets need {needed:,} or more of them"
    return Misfit(field, sizes[field], problem, "lower it, or the size of another set")


def most_train_examples(data: SetSizes, counts: RowCounts | None) -> int | None:
    """Return the largest number of examples that the train set can have; None where only the data tell.

    Args:
        data: The section.
        counts: Examples of its source, or None.
    """
    if data.train_size is not None or counts is None:
        return data.train_size
    others = (data.validation_size or 0) + (0 if counts.test is not None else data.test_size or 0)
    return max(counts.train - others, 0)
