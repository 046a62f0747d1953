"""A table of one or more Parquet files, read with errors that name file and row."""

import difflib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType, LocalFileSystem

from l2rw_ray.errors import DataError

_ROWS_AT_A_TIME = 1024
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ParquetTable:
    """The files of one table, in order of their paths.

    Attributes:
        field: The configuration field that named it, for error messages.
        given: What that field said.
        filesystem: Where the files are.
        files: What the filesystem knows of them.
        schemas: Columns of each file.
        sizes: Rows of each file.
    """

    field: str
    given: str
    filesystem: FileSystem
    files: tuple[FileInfo, ...]
    schemas: tuple[pa.Schema, ...]
    sizes: tuple[int, ...]

    @classmethod
    def open(cls, field: str, given: str) -> Self:
        """Find a table's files and read their footers.

        Args:
            field: The configuration field, for error messages.
            given: What it says: a file or a folder, as a path or as a URI.

        Raises:
            DataError: There are none, one is no Parquet file, or all are empty.
        """
        try:
            filesystem, files = _find(given)
        except (OSError, ImportError, pa.ArrowException) as error:  # a URI may want another package
            raise DataError(field, given, f"cannot be opened ({_line(error)})", "check the path") from error
        if not files:
            raise DataError(field, given, "no Parquet file there", "give a file, a folder or a URI")
        footers = [_footer(field, filesystem, file) for file in files]
        schemas = tuple(footer.schema.to_arrow_schema() for footer in footers)
        sizes = tuple(footer.num_rows for footer in footers)
        if not sum(sizes):
            raise DataError(field, given, "the table has no rows", "give one with examples")
        return cls(field, given, filesystem, files, schemas, sizes)

    @property
    def identity(self) -> list[list[Any]]:
        """What changes when a file does; the URI too, since a path alone names no server."""
        place = self.given if "://" in self.given else ""
        return [[place, file.path, file.size, file.mtime_ns] for file in self.files]

    def locate(self, row: int) -> str:
        """File and row, from 0, of a row counted over all files."""
        for file, size in zip(self.files, self.sizes, strict=True):
            if row < size:
                return f"row {row} of {file.path}"
            row -= size
        raise IndexError(row)

    def metadata_list(self, key: str) -> tuple[str, ...] | None:
        """A JSON list of different texts in the first file's metadata; None where there is none.

        Raises:
            DataError: There is something else.
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
            raise DataError(self.field, self.given, problem, f"mend or drop {key}")
        return tuple(map(str, values))

    def require(self, column: str, field: str) -> tuple[pa.DataType, ...]:
        """Types of a column in each file.

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
        """Some columns a few rows at a time, each time with the number of the first row.

        Raises:
            DataError: A file cannot be read.
        """
        start = 0
        for file in self.files:
            with (
                _readable(self.field, file),
                pq.ParquetFile(file.path, filesystem=self.filesystem) as parquet,
            ):
                for batch in parquet.iter_batches(_ROWS_AT_A_TIME, columns=list(columns)):
                    yield start, batch
                    start += len(batch)

    def labels(self, column: str, field: str = "trial.data.label") -> Array:
        """A column of labels or of groups, as integers or as text, [N].

        Args:
            column: Its name.
            field: Where the study names it.

        Raises:
            DataError: It is missing, has nulls, or is neither.
        """
        types = [_plain(given) for given in self.require(column, field)]
        text = all(map(_is_text, types))
        for given in types:
            if not (text or pa.types.is_integer(given)):
                if len(set(types)) > 1:
                    problem = f"files of the table disagree: values are {' and '.join(map(str, set(types)))}"
                    raise DataError(field, column, problem, "write them with one type")
                problem = f"values are of type {given}"
                raise DataError(field, column, problem, "use integers or text")
        parts = []
        for start, batch in self.batches([column]):
            values = batch.column(0)
            if values.null_count:
                row = self.locate(start + values.is_null().to_pylist().index(True))
                raise DataError(field, column, f"null in {row}", "fill it in or drop the row")
            if pa.types.is_dictionary(values.type):
                values = values.dictionary_decode()
            numbers = values.to_numpy(zero_copy_only=False)
            parts.append(numbers.astype(np.str_ if text else np.int64))
        return np.concatenate(parts)

    def features(
        self, columns: Sequence[str], field: str = "trial.data.features", *, may_lack: bool = False
    ) -> Array:
        """Numeric columns side by side, float32 [N, F].

        Args:
            columns: Their names.
            field: Where the study names them.
            may_lack: Whether null and NaN are allowed, and read NaN.

        Raises:
            DataError: A column is missing or not numeric, or a value is null, NaN or infinite.
        """
        for column in columns:
            for given in self.require(column, field):
                if not _is_numeric(given):
                    problem = f"the column is of type {given}"
                    raise DataError(field, column, problem, "name numeric columns only")
        features = np.empty((sum(self.sizes), len(columns)), dtype=np.float32)
        for start, batch in self.batches(list(dict.fromkeys(columns))):
            for place, column in enumerate(columns):
                numbers = self._finite(column, start, batch.column(column), field, may_lack=may_lack)
                features[start : start + len(batch), place] = numbers
        return features

    def _finite(self, column: str, start: int, values: pa.Array, field: str, *, may_lack: bool) -> Array:
        with np.errstate(over="ignore"):
            numbers: Array = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            numbers = numbers.astype(np.float32)
        bad = np.flatnonzero(np.isinf(numbers) if may_lack else ~np.isfinite(numbers))
        if len(bad):
            value = values[int(bad[0])].as_py()
            shown = "null" if value is None else value
            problem = f"{shown} in {self.locate(start + int(bad[0]))}"
            raise DataError(field, column, problem, "fill in a finite number or drop the row")
        return numbers


def _find(given: str) -> tuple[FileSystem, tuple[FileInfo, ...]]:
    """Filesystem and Parquet files of a path or URI; hidden files of a folder are left out."""
    if "://" in given:
        filesystem, path = FileSystem.from_uri(given)
    else:
        filesystem, path = LocalFileSystem(), str(Path(given).expanduser().resolve())
    found = filesystem.get_file_info(path)
    if found.type is not FileType.Directory:
        return filesystem, (found,) if found.type is FileType.File else ()
    inside = filesystem.get_file_info(FileSelector(path, recursive=True))
    files = [file for file in inside if file.type is FileType.File and _is_part(file.path)]
    return filesystem, tuple(sorted(files, key=lambda file: str(file.path)))


def _is_part(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.endswith((".parquet", ".pq")) and not name.startswith((".", "_"))


def _footer(field: str, filesystem: FileSystem, file: FileInfo) -> pq.FileMetaData:
    with _readable(field, file):
        return pq.read_metadata(file.path, filesystem=filesystem)


@contextmanager
def _readable(field: str, file: FileInfo) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        problem = f"no readable Parquet file ({_line(error)})"
        raise DataError(field, file.path, problem, "give a whole Parquet file") from error


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _plain(given: pa.DataType) -> pa.DataType:
    return given.value_type if pa.types.is_dictionary(given) else given


def _is_text(given: pa.DataType) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(kind(given) for kind in kinds)


def _is_numeric(given: pa.DataType) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return any(kind(given) for kind in kinds)
