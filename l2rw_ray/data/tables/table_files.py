"""Files of tables, in the supported formats."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType, LocalFileSystem

_ROWS_AT_A_TIME = 1024
_DELIMITERS = ",;\t"
_HEAD_BYTES = 2**16


class TableFormat(Protocol):
    """Reads files of one format."""

    name: str
    endings: tuple[str, ...]
    """Endings of its files' names, for folders that hold other files too."""
    guesses_types: bool
    """Whether a column's type was guessed from its values."""

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

    def columns_and_rows(self, filesystem: FileSystem, file: FileInfo) -> tuple[pa.Schema, int]:
        """Read a file's schema and number of rows from its footer."""
        footer = pq.read_metadata(file.path, filesystem=filesystem)
        return footer.schema.to_arrow_schema(), footer.num_rows

    def batches(
        self, filesystem: FileSystem, file: FileInfo, columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield some of the file's columns, read a few rows at a time."""
        with pq.ParquetFile(file.path, filesystem=filesystem) as parquet:
            yield from parquet.iter_batches(_ROWS_AT_A_TIME, columns=list(columns))


class CsvFormat:
    """Comma-separated values under a header line, compressed or not; semicolons and tabs work too.

    A file is parsed once and kept, since types follow from all of its values.
    """

    name = "CSV"
    endings: tuple[str, ...] = (".csv", ".csv.gz", ".csv.bz2", ".csv.zst", ".tsv")
    guesses_types = True

    def __init__(self) -> None:
        self._tables: dict[str, pa.Table] = {}

    def columns_and_rows(self, filesystem: FileSystem, file: FileInfo) -> tuple[pa.Schema, int]:
        """Return the schema and number of rows of the parsed file."""
        table = self._table(filesystem, file)
        return table.schema, table.num_rows

    def batches(
        self, filesystem: FileSystem, file: FileInfo, columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield some columns of the parsed file, a few rows at a time."""
        table = self._table(filesystem, file).select(list(columns))
        yield from table.combine_chunks().to_batches(_ROWS_AT_A_TIME)

    def _table(self, filesystem: FileSystem, file: FileInfo) -> pa.Table:
        if file.path not in self._tables:
            with filesystem.open_input_stream(file.path) as stream:  # unpacks by the name's ending
                content = stream.read()
            self._tables[file.path] = csv.read_csv(
                io.BytesIO(content),
                read_options=csv.ReadOptions(use_threads=False),  # threads lose the number of a bad row
                parse_options=csv.ParseOptions(delimiter=delimiter_of(content), newlines_in_values=True),
                convert_options=csv.ConvertOptions(
                    strings_can_be_null=True, quoted_strings_can_be_null=False
                ),
            )
        return self._tables[file.path]


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


def delimiter_of(content: bytes) -> str:
    """Return the delimiter that is most frequent in the header line."""
    names = content[:_HEAD_BYTES].split(b"\n", 1)[0].decode(errors="replace")
    return max(_DELIMITERS, key=names.count)
