"""Any table: encoded images, texts or numeric features, and a label or a target."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data.cache import cached, cached_kept
from l2rw_ray.data.categories.mixed_rows import MixedRows
from l2rw_ray.data.row_ids import ColumnIds, RowIds, kept_ids
from l2rw_ray.data.source import SOURCES, Source
from l2rw_ray.data.sources.class_values import Classes, look_alikes
from l2rw_ray.data.sources.table_labels import Answers, LabelColumns, read_targets
from l2rw_ray.data.sources.table_rows import check_ids_differ, check_names_rows, group_indices, verified_rows
from l2rw_ray.data.splits.targets import stratified
from l2rw_ray.data.streaming.stored_rows import stored_rows
from l2rw_ray.data.streaming.table_reader import table_reader
from l2rw_ray.data.tables.bad_rows import Array, BadRows, SkippedRows
from l2rw_ray.data.tables.joined import JoinedTable, SectionTables, open_tables
from l2rw_ray.data.tables.precision import narrowed
from l2rw_ray.data.text.texts import Texts
from l2rw_ray.errors import DataError

if TYPE_CHECKING:
    from l2rw_ray.data.tables.table import Table


@dataclass(frozen=True)
class _Examples:
    """The usable content of the tables of a section: N rows.

    Attributes:
        inputs: As `Source.inputs`, [N, …].
        answers: Labels or targets.
        groups: Name of each example's group, [N]; None where the study names no groups.
        weight_features: As `Source.weight_features`, [N, F]; None where the study names none.
        skipped: Rows that were skipped.
        ids: Identity of each row.
        pools: As `Source.pools`.
        warnings: As `Source.warnings`.
    """

    inputs: Tensor | Texts | MixedRows
    answers: Answers
    groups: Array | None
    weight_features: Tensor | None
    skipped: tuple[SkippedRows, ...]
    ids: RowIds
    pools: dict[str, range]
    warnings: tuple[str, ...] = ()


@SOURCES.register("csv")
@SOURCES.register("parquet")
def load_table(config: ParquetData) -> Source:
    """Read, check and decode the tables that a section names.

    Labels become classes as `find_classes` says, named by the option or by the JSON list `class_names` in
    the train files' metadata where there is one. A target is a numeric column, whose deciles stand for
    classes where sets are stratified. Decoded inputs are cached on disk by the files' path, size and time
    of change. With `stream` only the first train image is decoded; other images, and texts, are found to be
    broken when they are read.

    Raises:
        DataError: A file is missing or of another format; a column is missing; an image, a feature, a
            label or a target cannot be used; a row or a group is in two sets. The message names file and row.
    """
    tables = open_tables(config)
    source = _load_classes(config, tables) if config.target is None else _load_regression(config, tables)
    if config.stream is None:
        return source
    whole = tables.joined.whole
    return replace(source, stored=stored_rows(config.stream, whole, table_reader(config, whole)))


def _load_classes(config: ParquetData, tables: SectionTables) -> Source:
    """Load tables with a label."""
    train, classes = _read(config, tables, tables.joined)
    test = None if tables.test is None else _read(config, tables, tables.test, classes)[0]
    source = Source(
        train.inputs,
        train.answers.known,
        classes.names,
        None if test is None else test.inputs,
        None if test is None else test.answers.known,
        train_labels=train.answers.given if config.knows_verified else None,
        verified=verified_rows(config, train.answers, train.pools),
        notes=() if classes.mapping is None else (classes.mapping,),
        warnings=(*train.warnings, *(() if test is None else test.warnings), *look_alikes(classes.names)),
    )
    return _completed(config, source, train, test)


def _load_regression(config: ParquetData, tables: SectionTables) -> Source:
    """Load tables with a target."""
    train = _read_targets(config, tables, tables.joined)
    test = None if tables.test is None else _read_targets(config, tables, tables.test)
    source = Source(
        train.inputs,
        torch.zeros(len(train.ids), dtype=torch.int64),
        (),
        None if test is None else test.inputs,
        None if test is None else torch.zeros(len(test.ids), dtype=torch.int64),
        feature_names=config.features,
        targets=train.answers.known,
        test_targets=None if test is None else test.answers.known,
        train_targets=train.answers.given if config.knows_verified else None,
        verified=verified_rows(config, train.answers, train.pools),
    )
    return stratified(_completed(config, source, train, test), config.target_below)


def _completed(config: ParquetData, source: Source, train: _Examples, test: _Examples | None) -> Source:
    """Return the source with what does not depend on its task, after the checks across tables."""
    if test is not None:
        _check_same_shape(config, train, test)
    if config.id is not None:
        check_ids_differ(config, train.ids, None if test is None else test.ids)
    return replace(
        source,
        groups=group_indices(config, train.groups, train.pools, None if test is None else test.groups),
        weight_features=train.weight_features,
        skipped=train.skipped + (() if test is None else test.skipped),
        pools=train.pools,
        ids=train.ids,
        test_ids=None if test is None else test.ids,
    )


def _check_same_shape(config: ParquetData, train: _Examples, test: _Examples) -> None:
    if not isinstance(test.inputs, Tensor) or not isinstance(train.inputs, Tensor):
        return
    if test.inputs.shape[1:] != train.inputs.shape[1:]:
        shapes = [tuple(part.inputs.shape[1:]) for part in (test, train)]
        problem = f"inputs of shape {shapes[0]}, those of train have {shapes[1]}"
        is_colour = config.image is not None and shapes[0][0] != shapes[1][0]
        remedy = "set trial.data.image_mode to rgb" if is_colour else "give both the same size"
        raise DataError("trial.data.test", config.test, problem, remedy)


def _read(
    config: ParquetData, tables: SectionTables, joined: JoinedTable, classes: Classes | None = None
) -> tuple[_Examples, Classes]:
    """Return usable rows and the classes; those of these rows where none are given."""
    bad = BadRows(joined.whole.rows, skip=config.bad_rows == "skip")
    labels = LabelColumns.read(config, joined.parts, bad)
    columns = _columns(config, joined.whole, bad, is_train=classes is None)
    ids = _row_ids(config, tables, joined.whole, bad)
    classes = classes or labels.classes(bad)
    answers = labels.answers(classes, bad)
    _check_rows_left(joined.whole, bad)
    examples = columns.with_answers(answers, ids, joined, bad)
    return replace(examples, warnings=labels.trimmed), classes


def _read_targets(config: ParquetData, tables: SectionTables, joined: JoinedTable) -> _Examples:
    """Return usable rows with their targets."""
    bad = BadRows(joined.whole.rows, skip=config.bad_rows == "skip")
    answers = read_targets(config, joined.parts, bad, _read_target)
    columns = _columns(config, joined.whole, bad, is_train=joined is tables.joined)
    ids = _row_ids(config, tables, joined.whole, bad)
    return columns.with_answers(answers, ids, joined, bad)


def _read_target(table: "Table", option: str, name: str, bad: BadRows, may_lack: bool) -> Tensor:
    identity: dict[str, object] = {"files": table.identity, "target": name}
    return _features(table, option, (name,), identity, bad, may_lack=may_lack)[:, 0]


def _row_ids(config: ParquetData, tables: SectionTables, table: "Table", bad: BadRows) -> RowIds:
    """Return the identities of all rows of a table."""
    if config.id is None:
        return tables.file_rows(table)
    check_names_rows(table, config.id)
    return ColumnIds(table.labels(config.id, bad, "trial.data.id"))


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

    def with_answers(self, answers: Answers, ids: RowIds, joined: JoinedTable, bad: BadRows) -> _Examples:
        """Return the usable rows with their labels or targets."""
        kept, inputs, weight_features = bad.kept, self.inputs, self.weight_features
        return _Examples(
            cached_kept(self.identity, inputs, kept) if isinstance(inputs, Tensor) else inputs.kept(kept),
            answers.kept(kept),
            None if self.groups is None else self.groups[kept],
            None if weight_features is None else weight_features[torch.from_numpy(kept)],
            bad.skipped,
            kept_ids(ids, kept),
            joined.pools(kept),
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


def _inputs(
    config: ParquetData, table: "Table", bad: BadRows, *, is_train: bool
) -> tuple[Tensor | Texts | MixedRows, dict[str, object]]:
    """Read images, uint8 [N, C, H, W], features, [N, F], categories or texts of all rows, and their identity.

    Of a train table that is streamed none: inputs of the same kind without a row.
    """
    from l2rw_ray.data.categories.column import read_categories
    from l2rw_ray.data.images.column import column_decoder, decode_column
    from l2rw_ray.data.images.decoding import cached_images, decoding_identity
    from l2rw_ray.data.text.column import read_texts

    identity: dict[str, object] = {"files": table.identity}
    identity |= {"image": config.image, "features": config.features}
    if config.missing != "error":
        identity["missing"] = config.missing
    if is_train and config.stream is not None and not config.stream.in_memory:
        return table_reader(config, table).empty, {}
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
    column, size, mode = config.image, config.image_size, config.image_mode
    identity |= decoding_identity(size, mode)
    decoder = column_decoder(table, column, size, mode)
    return cached_images(
        identity, lambda: decode_column(table, column, size, mode, skip=bad.skip), decoder, bad
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
