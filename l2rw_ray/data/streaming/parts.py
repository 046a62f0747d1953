"""Parts of a table's rows, each read by one process on any node."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from l2rw_ray.data.streaming.row_reader import RowReader, Rows
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.data.tables.row_groups import RowGroup
from l2rw_ray.retries import retry_transient

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.fs import FileSystem

_ROWS_AT_A_TIME = 256


@dataclass(frozen=True)
class RowPart:
    """Some rows of a row group; small and self-contained, so that it can be sent to another process.

    Attributes:
        filesystem: Where the file is.
        reader: What makes inputs of them.
        group: The row group.
        places_K: Place of each row in the row group, ascending, int32 [K].
    """

    filesystem: "FileSystem"
    reader: RowReader
    group: RowGroup
    places_K: Array

    def __len__(self) -> int:
        return len(self.places_K)

    def read(self) -> Generator[Rows]:
        """Yield the rows in order, as arrays of the reader's format, a few hundred at a time.

        Raises:
            DataError: The file or one of the rows cannot be read; the message names file and row.
            OutOfReachError: The file's store does not answer.
        """
        for rows, batch in self._batches():
            yield self.reader.read(batch, rows, self.group.path)

    def _batches(self) -> Generator[tuple[list[int], "pa.RecordBatch"]]:
        import numpy as np
        import pyarrow.parquet as pq

        from l2rw_ray.data.tables.table import readable
        from l2rw_ray.data.tables.table_files import ParquetFormat
        from l2rw_ray.data.tables.view_types import plain_batch

        start, columns = 0, list(self.reader.columns)
        with (
            readable("trial.data.train", ParquetFormat(), self.group.path),
            retry_transient(lambda: pq.ParquetFile(self.group.path, filesystem=self.filesystem)) as parquet,
        ):
            for batch in parquet.iter_batches(_ROWS_AT_A_TIME, [self.group.number], columns):
                begin, end = np.searchsorted(self.places_K, [start, start + len(batch)])
                places = self.places_K[begin:end]
                if len(places):
                    yield (places + self.group.first).tolist(), plain_batch(batch).take(places - start)
                start += len(batch)


class ReadParts(Protocol):
    """Brings the rows of a pass to the process that trains on them."""

    def __call__(self, parts: Sequence[RowPart]) -> Generator[Rows]:
        """Yield rows of all parts, one part after the other, any number at a time.

        Closing the iterator early ends the reading and frees everything.

        Args:
            parts: What to read.

        Raises:
            DataError, OutOfReachError: As `RowPart.read` does.
        """


def read_here(parts: Sequence[RowPart]) -> Generator[Rows]:
    """Read parts in this process, on demand; see `ReadParts`."""
    for part in parts:
        yield from part.read()
