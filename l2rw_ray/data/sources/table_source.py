"""Any table: encoded images, texts or numeric features, and a label or a target."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data.cache import cached, cached_kept
from l2rw_ray.data.categories.mixed_rows import MixedRows
from l2rw_ray.data.images.stored_images import stored_images
from l2rw_ray.data.source import SOURCES, Source
from l2rw_ray.data.splits.targets import regression_source
from l2rw_ray.data.tables.bad_rows import Array, BadRows, SkippedRows
from l2rw_ray.data.tables.precision import narrowed
from l2rw_ray.data.text.texts import Texts
from l2rw_ray.errors import DataError

if TYPE_CHECKING:
    from l2rw_ray.data.tables.table import Table


@dataclass(frozen=True)
class _Examples:
    """The usable content of one table: N rows.

    Attributes:
        inputs: As `Source.inputs`, [N, …].
        answers: Class indices, int64 [N], or targets, float32 [N].
        groups: Name of each example's group, [N]; None where the study names no groups.
        weight_features: As `Source.weight_features`, [N, F]; None where the study names none.
        skipped: Rows that were skipped.
    """

    inputs: Tensor | Texts | MixedRows
    answers: Tensor
    groups: Array | None
    weight_features: Tensor | None
    skipped: tuple[SkippedRows, ...]


@dataclass(frozen=True)
class _Classes:
    """The classes that the train table has.

    Attributes:
        names: Name of each.
        named: Whether labels are names, rather than indices.
    """

    names: tuple[str, ...]
    named: bool


@SOURCES.register("csv")
@SOURCES.register("parquet")
def load_table(config: ParquetData) -> Source:
    """Read, check and decode the train table and, where one is named, the test table.

    Integer labels are class indices, named by the JSON list `class_names` in the train files'
    metadata where there is one; text labels become classes in sorted order. A target is a numeric
    column, whose deciles stand for classes where sets are stratified. Decoded inputs are cached on
    disk by the files' path, size and time of change. With `stream` only the first train image is decoded;
    others are found to be broken when they are read.

    Raises:
        DataError: A file is missing or of another format; a column is missing; an image, a feature, a
            label or a target cannot be used. The message names file and row.
    """
    table = open_table(config, "trial.data.train", config.train)
    if config.target is None:
        source = _load_classes(config, table)
    else:
        source = _load_regression(config, table, config.target)
    if config.stream is None:
        return source
    assert config.image is not None
    assert isinstance(source.inputs, Tensor)
    shape = tuple(source.inputs.shape[1:])
    return replace(source, stored=stored_images(config.stream, table, config.image, shape, config.image_size))


def _load_classes(config: ParquetData, table: "Table") -> Source:
    """Load a table with a label."""
    train, classes = _read(config, table)
    names = classes.names
    if config.test is None:
        return Source(
            train.inputs,
            train.answers,
            names,
            groups=_group_indices(config, train),
            weight_features=train.weight_features,
            skipped=train.skipped,
        )
    test, _ = _read(config, open_table(config, "trial.data.test", config.test), classes)
    _check_same_shape(config, train, test)
    return Source(
        train.inputs,
        train.answers,
        names,
        test.inputs,
        test.answers,
        _group_indices(config, train, test),
        weight_features=train.weight_features,
        skipped=train.skipped + test.skipped,
    )


def _load_regression(config: ParquetData, table: "Table", target: str) -> Source:
    """Load a table with a target."""
    train, test = _read_targets(config, table, target), None
    if config.test is not None:
        test_table = open_table(config, "trial.data.test", config.test)
        test = _read_targets(config, test_table, target, is_train=False)
        _check_same_shape(config, train, test)
    source = regression_source(
        train.inputs,
        train.answers,
        None if test is None else test.inputs,
        None if test is None else test.answers,
        _group_indices(config, train, test),
        feature_names=config.features,
        weight_features=train.weight_features,
        below=config.target_below,
    )
    return replace(source, skipped=train.skipped + (() if test is None else test.skipped))


def _check_same_shape(config: ParquetData, train: _Examples, test: _Examples) -> None:
    if not isinstance(test.inputs, Tensor) or not isinstance(train.inputs, Tensor):
        return
    if test.inputs.shape[1:] != train.inputs.shape[1:]:
        shapes = [tuple(part.inputs.shape[1:]) for part in (test, train)]
        problem = f"inputs of shape {shapes[0]}, those of train have {shapes[1]}"
        raise DataError("trial.data.test", config.test, problem, "give both the same size")


def open_table(config: ParquetData, field: str, given: str) -> "Table":
    """Open the table that a field of the section names.

    Raises:
        DataError: It is missing, of another format, or empty.
    """
    from l2rw_ray.data.tables.table import Table
    from l2rw_ray.data.tables.table_files import CsvFormat, ParquetFormat

    return Table.open(field, given, CsvFormat() if config.source == "csv" else ParquetFormat())


def _read(config: ParquetData, table: "Table", classes: _Classes | None = None) -> tuple[_Examples, _Classes]:
    """Return a table's usable rows and the classes; those of this table where none are given."""
    assert config.label is not None
    bad = BadRows(table.rows, skip=config.bad_rows == "skip")
    labels = table.labels(config.label, bad)
    columns = _columns(config, table, bad, is_train=classes is None)
    classes = classes or _classes(table, labels[bad.kept])
    indices = _as_indices(config, table, labels, classes, bad)
    _check_rows_left(table, bad)
    return columns.with_answers(torch.from_numpy(indices), bad), classes


def _read_targets(config: ParquetData, table: "Table", target: str, *, is_train: bool = True) -> _Examples:
    """Return a table's usable rows with their targets."""
    bad = BadRows(table.rows, skip=config.bad_rows == "skip")
    identity: dict[str, object] = {"files": table.identity, "target": target}
    targets_N1 = _features(table, "target", (target,), identity, bad)
    return _columns(config, table, bad, is_train=is_train).with_answers(targets_N1[:, 0], bad)


@dataclass(frozen=True)
class _Columns:
    """The content of all rows of a table beside labels or targets.

    Attributes:
        inputs: As `Source.inputs`, [N, …].
        identity: Key of their cache entry.
        groups: Name of each row's group, [N].
        weight_features: As `Source.weight_features`, [N, F].
    """

    inputs: Tensor | Texts | MixedRows
    identity: dict[str, object]
    groups: Array | None
    weight_features: Tensor | None

    def with_answers(self, answers: Tensor, bad: BadRows) -> _Examples:
        """Return the usable rows with their labels or targets."""
        kept, inputs, weight_features = bad.kept, self.inputs, self.weight_features
        return _Examples(
            cached_kept(self.identity, inputs, kept) if isinstance(inputs, Tensor) else inputs.kept(kept),
            answers[torch.from_numpy(kept)],
            None if self.groups is None else self.groups[kept],
            None if weight_features is None else weight_features[torch.from_numpy(kept)],
            bad.skipped,
        )


def _columns(config: ParquetData, table: "Table", bad: BadRows, *, is_train: bool) -> _Columns:
    groups = None if config.group is None else table.labels(config.group, bad, "trial.data.group")
    inputs, identity = _inputs(config, table, bad, is_train=is_train)
    weight_features = _weight_features(config, table, bad) if is_train else None
    _check_rows_left(table, bad)
    return _Columns(inputs, identity, groups, weight_features)


def _check_rows_left(table: "Table", bad: BadRows) -> None:
    if not bad.kept.any():
        first = bad.skipped[0].first
        raise DataError(table.field, table.given, f"no row can be used ({first})", "fix the table")


def _group_indices(config: ParquetData, train: _Examples, test: _Examples | None = None) -> Tensor | None:
    """Return the index of each train example's group, int64 [N]; None where the study names no groups."""
    if train.groups is None:
        return None
    named, indices = np.unique(train.groups, return_inverse=True)
    if test is not None and test.groups is not None:
        shared = np.intersect1d(named, test.groups)
        if len(shared):
            problem = f"{len(shared)} groups are in train and in test, such as {shared[0]}"
            remedy = "leave trial.data.test out, so that the test set is drawn by groups"
            raise DataError("trial.data.group", config.group, problem, remedy)
    return torch.from_numpy(indices.astype(np.int64))


def _inputs(
    config: ParquetData, table: "Table", bad: BadRows, *, is_train: bool
) -> tuple[Tensor | Texts | MixedRows, dict[str, object]]:
    """Read images, uint8 [N, C, H, W], features, [N, F], categories or texts of all rows, and their identity.

    Of a train table that is streamed none, uint8 [0, C, H, W].
    """
    from l2rw_ray.data.categories.column import read_categories
    from l2rw_ray.data.images.column import column_decoder, decode_column, first_shape
    from l2rw_ray.data.images.decoding import cached_images
    from l2rw_ray.data.text.column import read_texts

    identity: dict[str, object] = {"files": table.identity}
    identity |= {"image": config.image, "features": config.features}
    if config.missing != "error":
        identity["missing"] = config.missing
    if (size := config.image_size) is not None:
        identity["size"] = size
    if config.text is not None:
        return read_texts(table, config.text, bad), {}
    if config.image is None:
        names, may_lack, numbers = config.features or (), config.missing == "mean", None
        if names:
            numbers = _features(table, "features", names, identity, bad, may_lack=may_lack)
        if config.categorical is not None:
            return MixedRows(read_categories(table, config.categorical), numbers), {}
        assert numbers is not None
        return numbers, identity
    if is_train and config.stream is not None and not config.stream.in_memory:
        return torch.empty((0, *first_shape(table, config.image, size)), dtype=torch.uint8), identity
    column, decoder = config.image, column_decoder(table, config.image, size)
    return cached_images(
        identity, lambda: decode_column(table, column, size, skip=bad.skip), decoder, bad
    ), identity


def _weight_features(config: ParquetData, table: "Table", bad: BadRows) -> Tensor | None:
    names = config.weight_features
    if names is None:
        return None
    identity: dict[str, object] = {"files": table.identity, "weight_features": names}
    return _features(table, "weight_features", names, identity, bad)


def _features(
    table: "Table",
    option: str,
    names: tuple[str, ...],
    identity: dict[str, object],
    bad: BadRows,
    *,
    may_lack: bool = False,
) -> Tensor:
    """Read numeric columns that an option names, [N, F]; NaN where values may lack.

    They are float32, or float64 where `narrowed` keeps that.
    """
    field, identity = f"trial.data.{option}", {**identity, "narrowed": True}

    def read(*, skip: bool = False) -> Array:
        return narrowed(table.features(names, field, skip=skip, may_lack=may_lack))

    if not bad.skip:
        return cached(identity, read)
    features = cached({**identity, "skip": "features"}, partial(read, skip=True))
    wrong_NF = features.isinf() if may_lack else ~features.isfinite()

    def error_at(row: int) -> DataError:
        place = int(wrong_NF[row].nonzero()[0])
        return table.feature_error(names[place], row, float(features[row, place]), field)

    bad.mark(wrong_NF.any(dim=1).numpy(), error_at)
    return features


def _classes(train: "Table", labels: Array) -> _Classes:
    """Return the class names: text labels, names from the files' metadata, or indices up to the largest."""
    if labels.dtype.kind == "U":
        return _Classes(tuple(np.unique(labels).tolist()), named=True)
    stated = train.metadata_list("class_names")
    count = min(int(labels.max()) + 1, len(labels))  # no more, or some could not occur
    return _Classes(stated or tuple(map(str, range(count))), named=False)


def _as_indices(config: ParquetData, table: "Table", labels: Array, classes: _Classes, bad: BadRows) -> Array:
    """Return class indices, int64 [N]; a label that is no class is an error or marked as bad."""
    names, indices = classes.names, labels
    if classes.named or labels.dtype.kind == "U":
        index = {name: position for position, name in enumerate(names)} if classes.named else {}
        indices = np.array([index.get(str(label), -1) for label in labels.tolist()])

    def error_at(row: int) -> DataError:
        return DataError(
            "trial.data.label",
            config.label,
            f"label {labels[row]} in {table.locate(row)} is none of the {len(names)} classes of train",
            "use labels from 0 to classes − 1, and fix the row or the class_names in the metadata",
        )

    bad.mark((indices < 0) | (indices >= len(names)), error_at)
    return indices.astype(np.int64)
