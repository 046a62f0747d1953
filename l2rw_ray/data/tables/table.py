"""A table of one or more files, read with errors that name file and row."""

import difflib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.fs import FileInfo, FileSystem

from l2rw_ray.data.tables.bad_rows import Array, BadRows
from l2rw_ray.data.tables.encodings import EncodingError
from l2rw_ray.data.tables.table_files import TableFormat, find_files
from l2rw_ray.errors import DataError, OutOfReachError, first_line
from l2rw_ray.limits import MAX_LABEL_CHARACTERS, has_too_many_rows
from l2rw_ray.retries import is_transient

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"

_EXACT = 2.0**53
"""Whole numbers below this are exact in float64."""
_NULL_VALUES = " (NA and the like read as missing, see trial.data.null_values)"


@dataclass(frozen=True)
class Table:
    """The files of one table, in order of their paths.

    Attributes:
        field: The configuration field that named it, for error messages.
        given: Value of that field.
        form: Format of its files.
        filesystem: Where they are.
        files: The filesystem's information about them.
        schemas: Columns of each file.
        sizes: Rows of each file.
    """

    field: str
    given: str
    form: TableFormat
    filesystem: FileSystem
    files: tuple[FileInfo, ...]
    schemas: tuple[pa.Schema, ...]
    sizes: tuple[int, ...]

    @classmethod
    def open(cls, field: str, given: str, form: TableFormat) -> Self:
        """Find a table's files, and their columns.

        Args:
            field: The configuration field, for error messages.
            given: Its value: a file or a folder, as a path or a URI.
            form: The files' format.

        Raises:
            DataError: There are none, one is of no such format, or all are empty.
            OutOfReachError: Their file system does not answer.
        """
        try:
            filesystem, files = find_files(given, form.endings)
        except (OSError, ImportError, pa.ArrowException) as error:  # a URI may want another package
            if is_transient(error):
                raise OutOfReachError(given, first_line(error)) from error
            raise DataError(
                field, given, f"cannot be opened ({first_line(error)})", "check the path"
            ) from error
        if not files:
            raise DataError(field, given, f"no {form.name} file there", "give a file, a folder or a URI")
        heads = [_head(field, form, filesystem, file) for file in files]
        schemas, sizes = tuple(head[0] for head in heads), tuple(head[1] for head in heads)
        if not sum(sizes):
            raise DataError(field, given, "the table has no rows", "give one with examples")
        return cls(field, given, form, filesystem, files, schemas, sizes)

    @property
    def rows(self) -> int:
        """Number of rows of all files."""
        return sum(self.sizes)

    @property
    def identity(self) -> list[list[Any]]:
        """What changes when a file does; the URI too, since a path alone names no server."""
        place = self.given if "://" in self.given else ""
        form = self.form.identity
        return [[place, file.path, file.size, file.mtime_ns, *form] for file in self.files]

    def locate(self, row: int) -> str:
        """Return the file and row, from 0, of a row counted over all files."""
        for file, size in zip(self.files, self.sizes, strict=True):
            if row < size:
                return f"row {row} of {file.path}"
            row -= size
        raise IndexError(row)

    def metadata_list(self, key: str) -> tuple[str, ...] | None:
        """Return a JSON list of distinct texts from the first file's metadata; None where there is none.

        Raises:
            DataError: The metadata holds something else.
        """
        text = (self.schemas[0].metadata or {}).get(key.encode())
        if text is None:
            return None
        try:
            values = json.loads(text)
        except ValueError:
            values = None
        if not isinstance(values, list) or not values or len(set(map(str, values))) < len(values):
            problem = f"{key} in the metadata of {self.files[0].path} is no JSON list of different names"
            raise DataError(self.field, self.given, problem, f"fix or drop {key}")
        return tuple(map(str, values))

    def require(self, column: str, field: str) -> tuple[pa.DataType, ...]:
        """Return the type of a column in each file.

        Args:
            column: Its name.
            field: The configuration field that names it.

        Raises:
            DataError: A file has no such column.
        """
        for file, schema in zip(self.files, self.schemas, strict=True):
            if column not in schema.names:
                near = difflib.get_close_matches(column, schema.names, n=1)
                guess = f"did you mean {near[0]!r}? " if near else ""
                remedy = f"{guess}the columns are {', '.join(schema.names)}"
                raise DataError(field, column, f"no such column in {file.path}", remedy)
            if schema.names.count(column) > 1:
                problem = f"{file.path} has {schema.names.count(column)} columns of this name"
                raise DataError(field, column, problem, "rename all but one")
        return tuple(schema.field(column).type for schema in self.schemas)

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield some columns a few rows at a time, with the number of the first row.

        Raises:
            DataError, OutOfReachError: A file cannot be read.
        """
        start = 0
        for file in self.files:
            with readable(self.field, self.form, file.path):
                for batch in self.form.batches(self.filesystem, file, columns):
                    yield start, batch
                    start += len(batch)

    def labels(self, column: str, bad: BadRows, field: str = "trial.data.label") -> Array:
        """Return a column of labels, groups or identities, as numbers or text, [N].

        Booleans, dates and times are text. Numbers are int64 if all are whole, else float64.

        Args:
            column: Its name.
            bad: Records rows without a value; they read as 0 or empty text.
            field: Where the study names it.

        Raises:
            DataError: It is missing, holds neither numbers nor text, or lacks a value that may not be
                skipped.
        """
        types = [plain_type(given) for given in self.require(column, field)]
        types = [given for given in types if not pa.types.is_null(given)]  # a file without values has none
        text, numeric = all(map(_reads_as_text, types)), all(map(_is_number, types))
        if not (text or numeric):
            strange = [given for given in types if not (_reads_as_text(given) or _is_number(given))]
            if strange:
                raise DataError(field, column, f"values are of type {strange[0]}", "use numbers or text")
            problem = f"files of the table disagree: values are {' and '.join(sorted(set(map(str, types))))}"
            raise DataError(field, column, problem, "write them with one type")

        def error_at(row: int) -> DataError:
            return self._error(field, column, f"null in {self.locate(row)}", "fill it in")

        parts = []
        for start, batch in self.batches([column]):
            values = _as_text(batch.column(0)) if text else _as_finite(batch.column(0))
            bad.mark(values.is_null().to_numpy(zero_copy_only=False), error_at, start)
            longest = pc.max(pc.utf8_length(values)).as_py() if text else 0
            if longest and longest > MAX_LABEL_CHARACTERS:
                problem = f"a text of {longest:,} characters; a label has at most {MAX_LABEL_CHARACTERS}"
                raise self._error(field, column, problem, "shorten it, or name another column")
            filled = values.fill_null("" if text else 0).to_numpy(zero_copy_only=False)
            parts.append(filled.astype(np.str_) if text else _whole_if_exact(filled))
        return np.concatenate(parts)

    def features(
        self,
        columns: Sequence[str],
        field: str = "trial.data.features",
        *,
        skip: bool = False,
        may_lack: bool = False,
    ) -> Array:
        """Return numeric columns side by side, float64 [N, F]; what float32 cannot hold is infinite.

        Args:
            columns: Their names.
            field: Where the study names them.
            skip: Whether values that are no finite number are left as they are; text is NaN then.
            may_lack: Whether null and NaN are allowed, and read NaN; text is infinite then.

        Raises:
            DataError: A column is missing or not numeric, or a value is no finite number.
        """
        for column in columns:
            for given in self.require(column, field):
                if not (_is_numeric(given) or (self.form.guesses_types and _is_text_or_empty(given))):
                    problem = f"the column is of type {given}"
                    raise DataError(field, column, problem, "name numeric columns only")
        features = np.empty((self.rows, len(columns)), dtype=np.float64)
        for start, batch in self.batches(list(dict.fromkeys(columns))):
            for place, column in enumerate(columns):
                values = batch.column(column)
                numbers = as_numbers(values, other_text=np.inf if may_lack else np.nan)
                if not skip:
                    bad = np.isinf(numbers) if may_lack else ~np.isfinite(numbers)
                    self._refuse_first(field, column, start, values, bad)
                features[start : start + len(batch), place] = numbers
        return features

    def feature_error(
        self, column: str, row: int, value: object, field: str = "trial.data.features"
    ) -> DataError:
        """Return the error about a value that is no finite number."""
        problem = f"{value} in {self.locate(row)}"
        is_name = isinstance(value, str) and value != "null" and field == "trial.data.features"
        other = ", name a column of categories under categorical" if is_name else ""
        return self._error(field, column, problem, f"fill in a finite number{other}")

    def _refuse_first(self, field: str, column: str, start: int, values: pa.Array, bad: Array) -> None:
        if bad.any():
            place = int(bad.argmax())
            value = values[place].as_py()
            raise self.feature_error(column, start + place, "null" if value is None else value, field)

    def _error(self, field: str, column: str, problem: str, remedy: str) -> DataError:
        missing = "" if self.form.identity or not self.form.guesses_types else _NULL_VALUES
        remedy = f"{remedy}, drop the row, or set trial.data.bad_rows to skip"
        return DataError(field, column, problem, remedy + (missing if problem.startswith("null") else ""))


def as_numbers(values: pa.Array, other_text: float) -> Array:
    """Return values as float64; null becomes NaN, and text that is no number becomes `other_text`."""
    if is_text(values.type):
        is_number = pc.match_substring_regex(values, _NUMBER)
        values = pc.utf8_trim_whitespace(pc.if_else(is_number, values, str(other_text)))
    numbers: Array = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.where(np.abs(numbers) > np.finfo(np.float32).max, np.copysign(np.inf, numbers), numbers)


def _as_text(values: pa.Array) -> pa.Array:
    """Return text, booleans, dates or times as text; sorted, dates are in their order."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(pa.large_string())


def _as_finite(values: pa.Array) -> pa.Array:
    """Return numbers as int64 or float64; null where one is NaN or infinite."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_integer(values.type) or pa.types.is_null(values.type):
        return values.cast(pa.int64(), safe=False)
    values = values.cast(pa.float64(), safe=False)
    return pc.if_else(pc.is_finite(values), values, None)


def _whole_if_exact(numbers: Array) -> Array:
    """Return numbers as int64 if that loses nothing."""
    is_whole = numbers.dtype.kind == "i" or bool((np.mod(numbers, 1) == 0).all())
    is_small = is_whole and (numbers.dtype.kind == "i" or bool((np.abs(numbers) < _EXACT).all()))
    return numbers.astype(np.int64) if is_small else numbers.astype(np.float64)


def _reads_as_text(given: pa.DataType) -> bool:
    return is_text(given) or pa.types.is_boolean(given) or pa.types.is_temporal(given)


def _is_number(given: pa.DataType) -> bool:
    return _is_numeric(given) and not pa.types.is_boolean(given)


def _head(field: str, form: TableFormat, filesystem: FileSystem, file: FileInfo) -> tuple[pa.Schema, int]:
    with readable(field, form, file.path):
        schema, rows = form.columns_and_rows(filesystem, file)
    if has_too_many_rows(rows, file.size or 0):
        problem = f"{file.path} has {rows:,} rows in {file.size or 0:,} bytes, which cannot differ"
        raise DataError(field, form.name, problem, "give a table of examples")
    return schema, rows


@contextmanager
def readable(field: str, form: TableFormat, path: str) -> Iterator[None]:
    """Turn the exceptions of libraries about an unreadable file into a `DataError` that names it.

    Args:
        field: The configuration field that named the table.
        form: The format that is tried.
        path: The file.

    Raises:
        DataError: It is incomplete or of another format.
        OutOfReachError: Its file system does not answer.
    """
    try:
        yield
    except EncodingError as error:
        raise DataError(field, path, error.problem, error.remedy) from error
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        if is_transient(error):
            raise OutOfReachError(path, first_line(error)) from error
        problem = f"no readable {form.name} file ({first_line(error)})"
        remedy = f"give a whole {form.name} file"
        if form.name == "Parquet" and ".csv" in path:
            remedy += ", or set trial.data.source to csv"
        raise DataError(field, path, problem, remedy) from error


def plain_type(given: pa.DataType) -> pa.DataType:
    """Return the type of the values of a column, also of one that is stored as a dictionary."""
    return given.value_type if pa.types.is_dictionary(given) else given


def is_text(given: pa.DataType) -> bool:
    """Return whether a type is one of texts."""
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(kind(given) for kind in kinds)


def is_name(given: pa.DataType) -> bool:
    """Return whether a type is one of texts or of whole numbers, or of no values at all."""
    return _is_text_or_empty(given) or pa.types.is_integer(given)


def _is_text_or_empty(given: pa.DataType) -> bool:
    return is_text(given) or pa.types.is_null(given)


def _is_numeric(given: pa.DataType) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return any(kind(given) for kind in kinds)
