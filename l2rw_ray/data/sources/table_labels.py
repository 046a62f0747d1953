"""Labels and targets of the tables of a section: as they were given, and as somebody verified them.

Shape suffixes: N rows of the joined table, P of one part of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data.source import NO_CLASS
from l2rw_ray.data.sources.class_values import Classes, find_classes, number_text
from l2rw_ray.data.tables.bad_rows import Array, BadRows
from l2rw_ray.data.tables.joined import TablePart
from l2rw_ray.errors import DataError

if TYPE_CHECKING:
    from l2rw_ray.data.tables.table import Table

ReadNumbers = Callable[["Table", str, str, BadRows, bool], Tensor]
"""Reads a numeric column of a table, floats [P]: takes the table, the option that names the column, its
name, the record of bad rows, and whether values may lack, which read NaN."""


@dataclass(frozen=True)
class Answers:
    """Class indices, int64, or targets, floats, of the rows of a table.

    A row without one has `NO_CLASS`, or NaN.

    Attributes:
        given: As they came, [N].
        verified: As somebody verified them, [N].
    """

    given: Tensor
    verified: Tensor

    @property
    def is_verified(self) -> Tensor:
        """Which rows have a verified one, bool [N]."""
        return self.verified != NO_CLASS if self.verified.dtype == torch.int64 else ~self.verified.isnan()

    @property
    def known(self) -> Tensor:
        """The verified ones, and the given ones where nobody verified them, [N]."""
        return torch.where(self.is_verified, self.verified, self.given)

    def kept(self, kept_N: Array) -> "Answers":
        """Return those of some rows."""
        rows_N = torch.from_numpy(kept_N)
        return Answers(self.given[rows_N], self.verified[rows_N])


class _Wanted(NamedTuple):
    """A column of a part: its name, the option that names it, and whether values may lack."""

    name: str
    option: str
    may_lack: bool


@dataclass(frozen=True)
class _Labels:
    """A column of labels of a part.

    Attributes:
        name: Its name.
        values: Numbers, or text without white space around it, [P].
        present: Which of them are there, bool [P].
        trimmed: What was cut off, and where; None for nothing.
    """

    name: str
    values: Array
    present: Array
    trimmed: str | None = None


@dataclass(frozen=True)
class LabelColumns:
    """The given and the verified labels of each part, before classes are known; None for one it lacks."""

    config: ParquetData
    parts: Sequence[TablePart]
    columns: Sequence[tuple[_Labels | None, _Labels | None]]

    @classmethod
    def read(cls, config: ParquetData, parts: Sequence[TablePart], bad: BadRows) -> Self:
        """Read the columns.

        Args:
            config: The section.
            parts: Its tables, one after the other.
            bad: Records rows without a label.

        Raises:
            DataError: A column is missing or holds no labels, or a row has none and may not be skipped.
        """
        return cls(config, parts, [_label_columns(config, part, part.bad(bad)) for part in parts])

    def classes(self, bad: BadRows) -> Classes:
        """Return the classes of usable rows.

        Raises:
            DataError: Labels are no classes, or text in some tables and numbers in others.
        """
        labels = [
            column.values[column.present & part.bad(bad).kept]
            for part, pair in zip(self.parts, self.columns, strict=True)
            for column in pair
            if column is not None
        ]
        labels = [values for values in labels if len(values)]
        if len({values.dtype.kind == "U" for values in labels}) > 1:
            problem = "labels are text in some columns and numbers in others"
            raise DataError("trial.data.label", self.config.label, problem, "write them with one type")
        stated = self.parts[0].table.metadata_list("class_names")
        return find_classes(np.concatenate(labels), self.config.class_names, stated)

    @property
    def trimmed(self) -> tuple[str, ...]:
        """A sentence on each column whose labels had white space around them."""
        columns = (column for pair in self.columns for column in pair if column is not None)
        return tuple(column.trimmed for column in columns if column.trimmed is not None)

    def answers(self, classes: Classes, bad: BadRows) -> Answers:
        """Return class indices.

        Args:
            classes: The classes.
            bad: Records rows whose label is no class.

        Raises:
            DataError: A label is no class, and its row may not be skipped.
        """
        given, verified = list[Array](), list[Array]()
        for part, pair in zip(self.parts, self.columns, strict=True):
            given.append(_indices(part, pair[0], classes, part.bad(bad)))
            verified.append(_indices(part, pair[1], classes, part.bad(bad)))
        return Answers(torch.from_numpy(np.concatenate(given)), torch.from_numpy(np.concatenate(verified)))


def read_targets(config: ParquetData, parts: Sequence[TablePart], bad: BadRows, read: ReadNumbers) -> Answers:
    """Read the targets of the tables of a section.

    Args:
        config: The section.
        parts: Its tables, one after the other.
        bad: Records rows without a target.
        read: Reads a numeric column.

    Raises:
        DataError: A column is missing or not numeric, or a row has none and may not be skipped.
    """
    given, verified = list[Tensor](), list[Tensor]()
    for part in parts:
        wanted, part_bad = _wanted(config, part, "target"), part.bad(bad)
        for column, values in zip(wanted, (given, verified), strict=True):
            if column is None:
                values.append(torch.full((part.table.rows,), torch.nan))
            else:
                values.append(read(part.table, column.option, column.name, part_bad, column.may_lack))
        _check_either(part, wanted, [~values[-1].isnan().numpy() for values in (given, verified)], part_bad)
    given_N, verified_N = torch.cat(given), torch.cat(verified)
    wider = torch.promote_types(given_N.dtype, verified_N.dtype)  # a column may need float64
    return Answers(given_N.to(wider), verified_N.to(wider))


def _wanted(
    config: ParquetData, part: TablePart, answer: Literal["label", "target"]
) -> tuple[_Wanted | None, _Wanted | None]:
    """Return the columns of given and of verified labels, or targets, of a part; None for one it lacks."""
    option = f"verified_{answer}"
    plain, verified = getattr(config, answer), getattr(config, option)
    if part.name == "train":
        checked = None if verified is None else _Wanted(verified, option, may_lack=True)
        return _Wanted(plain, answer, may_lack=verified is not None), checked
    if part.name == "validation" and config.selects_by_given:
        return _Wanted(plain, answer, may_lack=False), None
    if verified is None or not part.has(verified):
        return None, _Wanted(plain, answer, may_lack=False)
    given = _Wanted(plain, answer, may_lack=True) if part.has(plain) else None
    return given, _Wanted(verified, option, may_lack=False)


def _label_columns(
    config: ParquetData, part: TablePart, bad: BadRows
) -> tuple[_Labels | None, _Labels | None]:
    wanted = _wanted(config, part, "label")
    given, verified = (None if column is None else _read_labels(part.table, column, bad) for column in wanted)
    if given is not None and verified is not None:
        _check_either(part, wanted, [given.present, verified.present], bad)
    return given, verified


def _read_labels(table: "Table", column: _Wanted, bad: BadRows) -> _Labels:
    lacking = BadRows(table.rows, skip=True) if column.may_lack else bad
    values, trimmed = table.labels(column.name, lacking, f"trial.data.{column.option}"), None
    if values.dtype.kind == "U":
        values, trimmed = _without_space(table, column, values, lacking)
    return _Labels(column.name, values, lacking.kept, trimmed)


def _without_space(
    table: "Table", column: _Wanted, values: Array, lacking: BadRows
) -> tuple[Array, str | None]:
    """Return labels without white space around them, and a sentence on what was cut off."""
    plain = np.char.strip(values)
    changed = np.flatnonzero(plain != values)
    if not len(changed):
        return values, None

    def error_at(row: int) -> DataError:
        problem = f"nothing but white space in {table.locate(row)}"
        remedy = "fill it in, drop the row, or set trial.data.bad_rows to skip"
        return DataError(f"trial.data.{column.option}", column.name, problem, remedy)

    lacking.mark((plain == "") & (values != ""), error_at)
    first = f"{str(values[changed[0]])!r} in {table.locate(int(changed[0]))}"
    return plain, f"white space around {len(changed):,} values of {column.name} is ignored, such as {first}"


def _check_either(
    part: TablePart, wanted: Sequence[_Wanted | None], there: Sequence[Array], bad: BadRows
) -> None:
    """Mark rows that have neither a given nor a verified label or target."""
    given, verified = wanted
    if given is None or verified is None:
        return

    def error_at(row: int) -> DataError:
        problem = f"null in {part.table.locate(row)}, and so is {verified.name}"
        remedy = "fill in one of the two, drop the row, or set trial.data.bad_rows to skip"
        return DataError(f"trial.data.{given.option}", given.name, problem, remedy)

    bad.mark(~(there[0] | there[1]), error_at)


def _indices(part: TablePart, column: _Labels | None, classes: Classes, bad: BadRows) -> Array:
    """Return class indices, int64 [P]; a label that is no class is an error or marked as bad."""
    if column is None:
        return np.full(part.table.rows, NO_CLASS)
    names, labels, indices = classes.names, column.values, classes.indices(column.values)

    def error_at(row: int) -> DataError:
        label, place = labels[row].item(), part.table.locate(row)
        problem = f"label {number_text(label)} in {place} is none of the {len(names)} classes of train"
        negative = (
            " Leave it empty where it is not known." if not isinstance(label, str) and label < 0 else ""
        )
        return DataError("trial.data.label", column.name, problem, classes.remedy + negative)

    bad.mark(((indices < 0) | (indices >= len(names))) & column.present, error_at)
    return np.where(column.present, indices, NO_CLASS).astype(np.int64)
