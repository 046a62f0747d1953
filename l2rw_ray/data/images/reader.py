"""Read images of a table that stays in its files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from l2rw_ray.config.data.source_options import ImageMode, ImageSize
from l2rw_ray.data.streaming.row_reader import RowFormat, RowReader
from l2rw_ray.data.tables.bad_rows import Array

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ImageReader(RowReader):
    """Reads a column of encoded images.

    Attributes:
        column: Its name.
        shape: Shape that all images have once they are decoded, (C, H, W).
        size: Height and width that they are resized to; None leaves them.
        mode: Whether they are read as grey or in colour; None for grey if the first image is.
    """

    column: str
    shape: tuple[int, ...]
    size: ImageSize | None = None
    mode: ImageMode | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    @property
    def format(self) -> RowFormat:
        """Pixels, uint8 [C, H, W]."""
        return RowFormat(np.dtype(np.uint8), self.shape)

    @property
    def identity(self) -> dict[str, object]:
        """The column, and how images are decoded."""
        from l2rw_ray.data.images.decoding import decoding_identity

        return {"image": self.column, **decoding_identity(self.size, self.mode)}

    def read(self, batch: "pa.RecordBatch", rows: Sequence[int], path: str) -> Array:
        """Decode images, uint8 [B, C, H, W]; see `RowReader.read`."""
        from l2rw_ray.data.images.column import encoded_values, image_decoder
        from l2rw_ray.data.images.decoding import decode_rows

        decoder = image_decoder(
            self.column, lambda row: f"row {row} of {path}", self.shape, self.size, self.mode
        )
        return decode_rows(decoder, rows, encoded_values(batch.column(0)))

    def inputs(self, rows: Tensor, count: int) -> Tensor:
        """Return images, uint8 [K, C, H, W]."""
        return rows
