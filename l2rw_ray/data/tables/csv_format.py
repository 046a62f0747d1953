"""CSV files of a table."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import csv
from pyarrow.fs import FileInfo, FileSystem

from l2rw_ray.data.tables.encodings import as_utf8
from l2rw_ray.data.tables.table_files import ROWS_AT_A_TIME

_DELIMITERS = ",;\t"
_HEAD_BYTES = 2**16
_BLOCK_BYTES, _MAX_BLOCK_BYTES = 2**20, 2**30
"""What pyarrow parses at a time: its default, and a size that its 32-bit offsets allow."""


class CsvFormat:
    """Comma-separated values under a header line, compressed or not; semicolons and tabs work too.

    A file is parsed once and kept, since types follow from all of its values.

    Args:
        encoding: Of the files, as Python names it.
        null_values: What stands for a missing value; None for pyarrow's list, such as `NA` and nothing.
    """

    name = "CSV"
    endings: tuple[str, ...] = (".csv", ".csv.gz", ".csv.bz2", ".csv.zst", ".tsv")
    guesses_types = True

    def __init__(self, encoding: str = "utf-8", null_values: Sequence[str] | None = None) -> None:
        self.encoding, self._null_values = encoding, null_values
        self._tables: dict[str, pa.Table] = {}

    @property
    def identity(self) -> list[Any]:
        """What changes when files are read otherwise; empty for the defaults."""
        given = (self.encoding, None if self._null_values is None else list(self._null_values))
        return [] if given == ("utf-8", None) else [*given]

    def content(self, filesystem: FileSystem, file: FileInfo) -> bytes:
        """Return the text of a file, unpacked, in UTF-8.

        Raises:
            EncodingError: It is in another encoding than it is taken for.
        """
        with filesystem.open_input_stream(file.path) as stream:  # unpacks by the name's ending
            return as_utf8(stream.read(), self.encoding)

    def columns_and_rows(self, filesystem: FileSystem, file: FileInfo) -> tuple[pa.Schema, int]:
        """Return the schema and number of rows of the parsed file."""
        table = self._table(filesystem, file)
        return table.schema, table.num_rows

    def batches(
        self, filesystem: FileSystem, file: FileInfo, columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield some columns of the parsed file, a few rows at a time."""
        table = self._table(filesystem, file).select(list(columns))
        yield from table.combine_chunks().to_batches(ROWS_AT_A_TIME)

    def _table(self, filesystem: FileSystem, file: FileInfo) -> pa.Table:
        if file.path not in self._tables:
            content = self.content(filesystem, file)
            self._tables[file.path] = csv.read_csv(
                io.BytesIO(content),
                read_options=read_options(content),
                parse_options=csv.ParseOptions(delimiter=delimiter_of(content), newlines_in_values=True),
                convert_options=csv.ConvertOptions(
                    null_values=self._null_values, strings_can_be_null=True, quoted_strings_can_be_null=False
                ),
            )
        return self._tables[file.path]


def read_options(content: bytes) -> csv.ReadOptions:
    """Return options that take rows of any length, and that name a bad row by its number."""
    longest_row = min(len(content) + 1, _MAX_BLOCK_BYTES)  # a row must fit into two blocks
    return csv.ReadOptions(use_threads=False, block_size=max(_BLOCK_BYTES, longest_row))


def delimiter_of(content: bytes) -> str:
    """Return the delimiter that is most frequent in the header line."""
    names = content[:_HEAD_BYTES].split(b"\n", 1)[0].decode(errors="replace")
    return max(_DELIMITERS, key=names.count)
