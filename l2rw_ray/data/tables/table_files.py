"""Files of tables, in the supported formats."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType, LocalFileSystem

from l2rw_ray.data.tables.view_types import plain_batch, plain_schema

ROWS_AT_A_TIME = 1024


class TableFormat(Protocol):
    """Reads files of one format."""

    name: str
    endings: tuple[str, ...]
    """Endings of its files' names, for folders that hold other files too."""
    guesses_types: bool
    """Whether a column's type was guessed from its values."""

    @property
    def identity(self) -> list[Any]:
        """What changes when files are read otherwise; empty for the defaults."""

    def columns_and_rows(self, filesystem: FileSystem, file: FileInfo) -> tuple[pa.Schema, int]:
        """Return a file's schema and number of rows.

        Raises:
            OSError, ArrowException, ValueError: It is not readable.
        """

    def batches(
        self, filesystem: FileSystem, file: FileInfo, columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield some of its columns, a few rows at a time; raises as `columns_and_rows` does."""


class ParquetFormat:
    """Parquet; the footer holds columns and number of rows."""

    name = "Parquet"
    endings: tuple[str, ...] = (".parquet", ".pq")
    guesses_types = False

    @property
    def identity(self) -> list[Any]:
        """Nothing: there is one way to read them."""
        return []

    def columns_and_rows(self, filesystem: FileSystem, file: FileInfo) -> tuple[pa.Schema, int]:
        """Read a file's schema and number of rows from its footer."""
        footer = pq.read_metadata(file.path, filesystem=filesystem)
        return plain_schema(footer.schema.to_arrow_schema()), footer.num_rows

    def batches(
        self, filesystem: FileSystem, file: FileInfo, columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield some of the file's columns, read a few rows at a time."""
        with pq.ParquetFile(file.path, filesystem=filesystem) as parquet:
            for batch in parquet.iter_batches(ROWS_AT_A_TIME, columns=list(columns)):
                yield plain_batch(batch)


def find_files(given: str, endings: tuple[str, ...]) -> tuple[FileSystem, tuple[FileInfo, ...]]:
    """Return the filesystem and files of a path or URI, in order of their paths.

    Args:
        given: A file, or a folder, of which hidden files and files with other endings are ignored.
        endings: Endings of file names in a folder.
    """
    if "://" in given:
        filesystem, path = FileSystem.from_uri(given)
    else:
        filesystem, path = LocalFileSystem(), str(Path(given).expanduser().resolve())
    found = filesystem.get_file_info(path)
    if found.type is not FileType.Directory:
        return filesystem, (found,) if found.type is FileType.File else ()
    inside = filesystem.get_file_info(FileSelector(path, recursive=True))
    files = [file for file in inside if file.type is FileType.File and _is_part(file.path, endings)]
    return filesystem, tuple(sorted(files, key=lambda file: str(file.path)))


def _is_part(path: str, endings: tuple[str, ...]) -> bool:
    name = PurePosixPath(path).name
    return name.endswith(endings) and not name.startswith((".", "_"))
