"""Parts of an image column, each read and decoded by one process on any node."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from l2rw_ray.config.data.source_options import ImageMode, ImageSize
from l2rw_ray.data.images.decoding import Encoded, ImageDecoder, decode_rows
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.data.tables.row_groups import RowGroup
from l2rw_ray.retries import retry_transient

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_ROWS_AT_A_TIME = 256


@dataclass(frozen=True)
class ImagePart:
    """Some images of a row group; small and self-contained, so that it can be sent to another process.

    Attributes:
        filesystem: Where the file is.
        column: The column of encoded images.
        shape: Shape that all have once they are decoded, (C, H, W).
        group: The row group.
        places_K: Place of each image in the row group, ascending, int32 [K].
        size: Height and width that images are resized to; None leaves them.
        mode: Whether they are read as grey or in colour; None for grey if the first image is.
    """

    filesystem: "FileSystem"
    column: str
    shape: tuple[int, ...]
    group: RowGroup
    places_K: Array
    size: ImageSize | None = None
    mode: ImageMode | None = None

    def __len__(self) -> int:
        return len(self.places_K)

    def images(self) -> Generator[Array]:
        """Yield the images in order, uint8 [B, C, H, W], a few hundred at a time.

        Raises:
            DataError: The file or one of the images cannot be read; the message names file and row.
            OutOfReachError: The file's store does not answer.
        """
        for rows, encoded in self._encoded():
            yield decode_rows(self._decoder(), rows, encoded)

    def _decoder(self) -> ImageDecoder:
        from l2rw_ray.data.images.column import image_decoder

        path = self.group.path
        return image_decoder(
            self.column, lambda row: f"row {row} of {path}", self.shape, self.size, self.mode
        )

    def _encoded(self) -> Generator[tuple[list[int], Sequence[Encoded]]]:
        import numpy as np
        import pyarrow.parquet as pq

        from l2rw_ray.data.images.column import encoded_values
        from l2rw_ray.data.tables.table import readable
        from l2rw_ray.data.tables.table_files import ParquetFormat
        from l2rw_ray.data.tables.view_types import plain_batch

        start, columns = 0, [self.column]
        with (
            readable("trial.data.train", ParquetFormat(), self.group.path),
            retry_transient(lambda: pq.ParquetFile(self.group.path, filesystem=self.filesystem)) as parquet,
        ):
            for batch in parquet.iter_batches(_ROWS_AT_A_TIME, [self.group.number], columns):
                begin, end = np.searchsorted(self.places_K, [start, start + len(batch)])
                places = self.places_K[begin:end]
                if len(places):
                    rows = (places + self.group.first).tolist()
                    yield rows, encoded_values(plain_batch(batch).column(0).take(places - start))
                start += len(batch)


class ReadParts(Protocol):
    """Brings the images of a pass to the process that trains on them."""

    def __call__(self, parts: Sequence[ImagePart]) -> Generator[Array]:
        """Yield images of all parts, one part after the other, uint8 [B, C, H, W], any number at a time.

        Closing the iterator early ends the reading and frees everything.

        Args:
            parts: What to read.

        Raises:
            DataError, OutOfReachError: As `ImagePart.images` does.
        """


def read_here(parts: Sequence[ImagePart]) -> Generator[Array]:
    """Read and decode parts in this process, on demand; see `ReadParts`."""
    for part in parts:
        yield from part.images()
