"""Any classification table: encoded images or numeric features, and a label."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config.data import ParquetData
from l2rw_ray.data.bad_rows import Array, BadRows, SkippedRows
from l2rw_ray.data.cache import cached, cached_kept
from l2rw_ray.data.source import SOURCES, Source
from l2rw_ray.errors import DataError

if TYPE_CHECKING:
    from l2rw_ray.data.table import Table


@dataclass(frozen=True)
class _Examples:
    """What one table holds; N of its rows can be used.

    Attributes:
        inputs: As `Source.inputs`, [N, …].
        labels: Class indices, int64 [N].
        groups: Name of each example's group, [N]; None where the study names no groups.
        weight_features: As `Source.weight_features`, [N, F]; None where the study names none.
        skipped: What was left out.
    """

    inputs: Tensor
    labels: Tensor
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
    metadata where there is one; text labels become classes in sorted order. Decoded inputs are
    cached on disk by the files' path, size and time of change.

    Raises:
        DataError: A file is missing or of another format; a column is missing; an image, a feature or a
            label cannot be used. The message names file and row.
    """
    table = open_table(config, "trial.data.train", config.train)
    train, classes = _read(config, table)
    names = classes.names
    if config.test is None:
        return Source(
            train.inputs,
            train.labels,
            names,
            groups=_group_indices(config, train),
            weight_features=train.weight_features,
            skipped=train.skipped,
        )
    test, _ = _read(config, open_table(config, "trial.data.test", config.test), classes)
    if test.inputs.shape[1:] != train.inputs.shape[1:]:
        shapes = [tuple(part.inputs.shape[1:]) for part in (test, train)]
        problem = f"inputs of shape {shapes[0]}, those of train have {shapes[1]}"
        raise DataError("trial.data.test", config.test, problem, "give both the same size")
    return Source(
        train.inputs,
        train.labels,
        names,
        test.inputs,
        test.labels,
        _group_indices(config, train, test),
        weight_features=train.weight_features,
        skipped=train.skipped + test.skipped,
    )


def open_table(config: ParquetData, field: str, given: str) -> "Table":
    """The table that a field of the section names.

    Raises:
        DataError: It is missing, of another format, or empty.
    """
    from l2rw_ray.data.table import Table
    from l2rw_ray.data.table_files import CsvFormat, ParquetFormat

    return Table.open(field, given, CsvFormat() if config.source == "csv" else ParquetFormat())


def _read(config: ParquetData, table: "Table", classes: _Classes | None = None) -> tuple[_Examples, _Classes]:
    """A table's rows that can be used, and the classes; those of this table where none are given."""
    bad = BadRows(table.rows, skip=config.bad_rows == "skip")
    labels = table.labels(config.label, bad)
    groups = None if config.group is None else table.labels(config.group, bad, "trial.data.group")
    inputs, identity = _inputs(config, table, bad)
    weight_features = _weight_features(config, table, bad) if classes is None else None
    _refuse_nothing_left(table, bad)
    classes = classes or _classes(table, labels[bad.kept])
    indices = _as_indices(config, table, labels, classes, bad)
    _refuse_nothing_left(table, bad)
    kept = bad.kept
    return _Examples(
        cached_kept(identity, inputs, kept),
        torch.from_numpy(indices[kept]),
        None if groups is None else groups[kept],
        None if weight_features is None else weight_features[torch.from_numpy(kept)],
        bad.skipped,
    ), classes


def _refuse_nothing_left(table: "Table", bad: BadRows) -> None:
    if not bad.kept.any():
        first = bad.skipped[0].first
        raise DataError(table.field, table.given, f"no row can be used ({first})", "mend the table")


def _group_indices(config: ParquetData, train: _Examples, test: _Examples | None = None) -> Tensor | None:
    """Index of each train example's group, int64 [N]; None where the study names no groups."""
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


def _inputs(config: ParquetData, table: "Table", bad: BadRows) -> tuple[Tensor, dict[str, object]]:
    """Images, uint8 [N, C, H, W], or features, float32 [N, F], of all rows, and what they are cached by."""
    from l2rw_ray.data.image_column import column_decoder, decode_column
    from l2rw_ray.data.image_decoding import cached_images

    identity: dict[str, object] = {"files": table.identity}
    identity |= {"image": config.image, "features": config.features}
    if config.image is None:
        return _features(table, "features", config.features or (), identity, bad), identity
    column, decoder = config.image, column_decoder(table, config.image)
    return cached_images(
        identity, lambda: decode_column(table, column, skip=bad.skip), decoder, bad
    ), identity


def _weight_features(config: ParquetData, table: "Table", bad: BadRows) -> Tensor | None:
    names = config.weight_features
    if names is None:
        return None
    identity: dict[str, object] = {"files": table.identity, "weight_features": names}
    return _features(table, "weight_features", names, identity, bad)


def _features(
    table: "Table", option: str, names: tuple[str, ...], identity: dict[str, object], bad: BadRows
) -> Tensor:
    """Numeric columns that an option names, float32 [N, F]."""
    field = f"trial.data.{option}"
    if not bad.skip:
        return cached(identity, lambda: table.features(names, field))
    features = cached({**identity, "skip": "features"}, lambda: table.features(names, field, skip=True))
    finite = features.isfinite().numpy()

    def refuse(row: int) -> DataError:
        place = int(np.flatnonzero(~finite[row])[0])
        return table.refuse_feature(names[place], row, float(features[row, place]), field)

    bad.mark(np.logical_not(finite.all(axis=1)), refuse)
    return features


def _classes(train: "Table", labels: Array) -> _Classes:
    """Text labels themselves, or names from the files' own metadata, or the indices up to the largest."""
    if labels.dtype.kind == "U":
        return _Classes(tuple(np.unique(labels).tolist()), named=True)
    stated = train.metadata_list("class_names")
    count = min(int(labels.max()) + 1, len(labels))  # no more, or some could not occur
    return _Classes(stated or tuple(map(str, range(count))), named=False)


def _as_indices(config: ParquetData, table: "Table", labels: Array, classes: _Classes, bad: BadRows) -> Array:
    """Class indices, int64 [N]; a label that is no class is refused or marked."""
    names, indices = classes.names, labels
    if classes.named or labels.dtype.kind == "U":
        index = {name: position for position, name in enumerate(names)} if classes.named else {}
        indices = np.array([index.get(str(label), -1) for label in labels.tolist()])

    def refuse(row: int) -> DataError:
        return DataError(
            "trial.data.label",
            config.label,
            f"label {labels[row]} in {table.locate(row)} is none of the {len(names)} classes of train",
            "use labels from 0 to classes − 1, and mend the row or the class_names in the metadata",
        )

    bad.mark((indices < 0) | (indices >= len(names)), refuse)
    return indices.astype(np.int64)
