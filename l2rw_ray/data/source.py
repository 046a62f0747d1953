"""A source of examples, before it is split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from l2rw_ray.data.categories.mixed_rows import MixedRows
from l2rw_ray.data.categories.reader import MixedReader
from l2rw_ray.data.row_ids import RowIds
from l2rw_ray.data.row_store import RowStore, take_rows
from l2rw_ray.data.streaming.stored_rows import StoredRows
from l2rw_ray.data.tables.bad_rows import SkippedRows
from l2rw_ray.data.tables.feature_reader import FeatureReader
from l2rw_ray.errors import DataError
from l2rw_ray.registry import Registry
from l2rw_ray.trees import Tree

NO_CLASS = -1
"""Label of an example whose class is left out, so that it is in none of the sets."""


@dataclass(frozen=True)
class Source:
    """Everything a source holds, decoded.

    Shape suffixes: N examples, F features.

    Attributes:
        inputs: Images as uint8 [N, C, H, W], features as floats [N, F], texts, rows with categories, or a
            tree (a dict, tuple, list or dataclass) of tensors [N, …] of any type, which a model gets as they
            are.
        labels: Class indices, int64 [N]; of a regression indices of the target's strata.
        class_names: Name of each class.
        test_inputs: Inputs of the source's own test set, as `inputs`; None where it has none.
        test_labels: Their labels, as `labels`.
        groups: Index of each example's group, int64 [N]; None where each is its own.
        class_indices: Of a source whose other classes are left out: index of each class before.
        difficulty: Probability that an example at the same point is of another class, float32 [N]; None where
            it is not known.
        skipped: Rows skipped on loading. Row numbers do not count them.
        weight_features: Features that say how far an example can be trusted, floats [N, F], for the method
            `weight_model`; None where there are none.
        train_labels: Labels as they were given, some of them wrong, which the train set uses in place of
            `labels`, int64 [N], `NO_CLASS` where an example has none and therefore cannot train; None to use
            `labels`, as the other sets always do.
        targets: What a regression predicts, floats [N]; None for a classification.
        test_targets: Targets of the test set of its own.
        feature_names: Name of each of the F features; None where they have none.
        left_out: Examples that were left out for their targets.
        stored: Where the rows of a train set that is streamed are; `inputs` then are of the same kind
            and hold none, unless `stored` says that they are held in memory anyway.
        verified: Which examples have `labels` or `targets` that are known to be right, bool [N]: the meta,
            validation and test sets are drawn from these, and the others only train. None for all.
        train_targets: Targets as they were given, as `train_labels`, float32 [N], NaN where an example has
            none; None to use `targets`.
        pools: Rows that one set alone is drawn from, by its name, `meta` or `validation`.
        ids: Identity of each row; None where its number says it all.
        test_ids: Identity of each row of the test set of its own.
        notes: What is worth knowing of how it was read, a sentence each.
        warnings: What may not be as it was meant, a sentence each.
    """

    inputs: Tree | RowStore
    labels: Tensor
    class_names: tuple[str, ...]
    test_inputs: Tree | RowStore | None = None
    test_labels: Tensor | None = None
    groups: Tensor | None = None
    class_indices: tuple[int, ...] | None = None
    difficulty: Tensor | None = None
    skipped: tuple[SkippedRows, ...] = ()
    weight_features: Tensor | None = None
    train_labels: Tensor | None = None
    targets: Tensor | None = None
    test_targets: Tensor | None = None
    feature_names: tuple[str, ...] | None = None
    left_out: int = 0
    stored: StoredRows | None = None
    verified: Tensor | None = None
    train_targets: Tensor | None = None
    pools: Mapping[str, range] = field(default_factory=dict)
    ids: RowIds | None = None
    test_ids: RowIds | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def take(self, rows_K: Tensor) -> Tree:
        """Return the inputs of some rows, [K, …], or their texts, from memory or from files.

        Args:
            rows_K: The rows, each once, int64.

        Raises:
            DataError: They are read from files, and cannot be.
        """
        if not self.is_streamed:
            return take_rows(self.inputs, rows_K)
        assert self.stored is not None
        return self.stored.read(rows_K)

    @property
    def is_streamed(self) -> bool:
        """Whether inputs stay in their files."""
        return self.stored is not None and not self.stored.in_memory

    @property
    def given_labels(self) -> Tensor:
        """Labels as they were given, int64 [N]; `NO_CLASS` where an example has none."""
        return self.labels if self.train_labels is None else self.train_labels

    @property
    def may_train(self) -> Tensor:
        """Which examples the train set may be drawn from, if they are in no other set, bool [N]."""
        allowed = (self.labels != NO_CLASS) & (self.given_labels != NO_CLASS)
        if self.train_targets is not None:
            allowed &= ~self.train_targets.isnan()
        for rows in self.pools.values():
            allowed[rows.start : rows.stop] = False
        return allowed

    @property
    def skipped_rows(self) -> int:
        """Number of rows left out."""
        return sum(part.count for part in self.skipped)

    def class_index(self, given: int | str, field: str = "trial.data.bias.class") -> int:
        """Return the index of a class given by index or by name.

        Args:
            given: An index from 0, counted before classes were left out, or one of `class_names`.
            field: The field that names it, for the error.

        Raises:
            DataError: There is no such class, or a number is the name of one and the index of another.
        """
        indices, name = self.class_indices or tuple(range(len(self.class_names))), str(given)
        by_index = indices.index(given) if isinstance(given, int) and given in indices else None
        by_name = self.class_names.index(name) if name in self.class_names else None
        if by_index is not None and by_name is not None and by_index != by_name:
            other = self.class_names[by_index]
            problem = f"there is a class of this name, and the class of this index is {other!r}"
            raise DataError(field, given, problem, f"write a name in quotes: {name!r} or {other!r}")
        found = by_index if by_name is None else by_name
        if found is None:
            names = ", ".join(self.class_names)
            raise DataError(field, given, "no class of this source", f"use one of {names}")
        return found

    def only(self, classes: Sequence[int]) -> Self:
        """Return the source with only some of its classes, numbered in the order given.

        Rows stay as they are: examples of other classes get the label `NO_CLASS`.

        Args:
            classes: Their indices.
        """
        number_C = torch.full((len(self.class_names),), NO_CLASS)
        number_C[list(classes)] = torch.arange(len(classes))
        labels, train_labels = number_C[self.labels], None
        if self.train_labels is not None:  # an example that is given as one of the others goes with them
            has_none = self.train_labels == NO_CLASS
            train_labels = number_C[self.train_labels].masked_fill(has_none, NO_CLASS)
            labels = labels.masked_fill((train_labels == NO_CLASS) & ~has_none, NO_CLASS)
        return replace(
            self,
            labels=labels,
            train_labels=train_labels,
            class_names=tuple(self.class_names[index] for index in classes),
            test_labels=None if self.test_labels is None else number_C[self.test_labels],
            class_indices=tuple(classes),
        )

    @property
    def features(self) -> Tensor | None:
        """Numbers to learn from, floats [N, F]; None where there are none, as with images and texts.

        Of a source that is streamed [0, F]; see `feature`.
        """
        if isinstance(self.inputs, MixedRows):
            return self.inputs.numbers_NF
        if isinstance(self.inputs, Tensor) and self.inputs.dtype != torch.uint8:
            return self.inputs
        return None

    def feature(self, place: int) -> Tensor:
        """Return one feature of all rows, floats [N], from memory or from files.

        Args:
            place: Its index among `features`.
        """
        assert self.features is not None
        if not self.is_streamed:
            return self.features[:, place]
        assert self.stored is not None
        reader = self.stored.reader
        numbers = reader.numbers if isinstance(reader, MixedReader) else reader
        assert isinstance(numbers, FeatureReader)
        return numbers.column(self.stored.table, place)

    def feature_index(self, given: int | str) -> int:
        """Return the index of a feature given by index or by name.

        Args:
            given: An index from 0, or one of `feature_names`.

        Raises:
            DataError: There is no such feature.
        """
        field, names = "trial.data.noise.by", self.feature_names or ()
        if not isinstance(self.inputs, Tensor | MixedRows):
            problem = f"inputs are a {type(self.inputs).__name__.lower()}, not features"
            raise DataError(field, given, problem, "leave it out")
        if given in names:
            return names.index(str(given))
        count = 0 if self.features is None else self.features.shape[1]
        if isinstance(given, int) and 0 <= given < count:
            return given
        remedy = f"use one of {', '.join(names) or f'0 to {count - 1}'}" if count else "leave it out"
        raise DataError(field, given, "no feature of this source", remedy)


def kept_pools(pools: Mapping[str, range], kept_N: Tensor) -> dict[str, range]:
    """Return where the pools of a source are once some of its rows are left out.

    Args:
        pools: As `Source.pools`.
        kept_N: Which rows are left, bool [N].
    """
    before_N = torch.cat([kept_N.new_zeros(1), kept_N]).cumsum(0)
    return {name: range(int(before_N[rows.start]), int(before_N[rows.stop])) for name, rows in pools.items()}


Loader = Callable[..., Source]
"""Takes the trial's `data` section; a custom loader takes its options as keyword arguments."""
SOURCES: Registry[Loader] = Registry("trial.data.source", import_paths=True)
