"""Read texts of a table that stays in its files: as they are, or as token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.data.streaming.row_reader import RowFormat, RowReader, packed, unpacked
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.data.text.encoder import TextEncoder
from l2rw_ray.data.text.texts import Texts
from l2rw_ray.data.text.token_rows import TokenRows

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class TextReader(RowReader):
    """Reads a column of texts.

    Attributes:
        column: Its name.
    """

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    @property
    def format(self) -> RowFormat:
        """UTF-8 of any length."""
        return RowFormat(np.dtype(np.uint8), None)

    @property
    def identity(self) -> dict[str, object]:
        """The column."""
        return {"text": self.column}

    def read(self, batch: "pa.RecordBatch", rows: Sequence[int], path: str) -> list[Array]:
        """Return texts as UTF-8; see `RowReader.read`."""
        return [np.frombuffer(text, dtype=np.uint8) for text in self.texts(batch, rows, path)]

    def texts(self, batch: "pa.RecordBatch", rows: Sequence[int], path: str) -> list[bytes]:
        """Return texts as UTF-8; arguments and errors are those of `read`."""
        from l2rw_ray.data.text.column import unreadable_error, utf8_values

        found = utf8_values(batch.column(0))
        for row, text in zip(rows, found, strict=True):
            if text is None:
                raise unreadable_error(self.column, f"row {row} of {path}", "fill it in, or drop the row")
        return [text for text in found if text is not None]

    def inputs(self, rows: Tensor, count: int) -> Texts:
        """Return a store of texts."""
        sizes_K, content = unpacked(rows, count)
        return Texts(content, sizes_K.cumsum())


@dataclass(frozen=True)
class TokenReader(RowReader):
    """Reads a column of texts as token ids.

    Attributes:
        texts: Reads the texts.
        encoder: What makes token ids of them.
    """

    texts: TextReader
    encoder: TextEncoder

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return self.texts.columns

    @property
    def format(self) -> RowFormat:
        """How many tokens a text had before it was cut, and then its ids."""
        return RowFormat(np.dtype(np.int32), None, 1 + self.encoder.max_length)

    @property
    def identity(self) -> dict[str, object]:
        """The column, the tokenizer, and the version of its library."""
        return {**self.texts.identity, **self.encoder.state(), "tokenizers": version("tokenizers")}

    def read(self, batch: "pa.RecordBatch", rows: Sequence[int], path: str) -> list[Array]:
        """Return texts as token ids; see `RowReader.read`."""
        found = self.encoder.packed(text.decode() for text in self.texts.texts(batch, rows, path))
        lengths_B, whole_B, ids = np.split(found, (len(rows), 2 * len(rows)))
        parts = np.split(ids, lengths_B.cumsum()[:-1])
        return [np.concatenate(row) for row in zip(whole_B[:, None], parts, strict=True)]

    def inputs(self, rows: Tensor, count: int) -> TokenRows:
        """Return a store of token ids."""
        sizes_K, content = unpacked(rows, count)
        ids, lengths_K = torch.from_numpy(content.view(np.int32)), torch.from_numpy(sizes_K // 4)
        starts_K = lengths_K.cumsum(0) - lengths_K
        encoder = self.encoder
        return TokenRows(ids, starts_K + 1, lengths_K - 1, ids[starts_K], encoder.max_length, encoder.pad_id)

    def batch(self, rows: Sequence[Array]) -> dict[str, Tensor]:
        """Return a batch of ids and mask, int64 [B, T]; see `TokenRows.take`."""
        return self.inputs(torch.from_numpy(packed(rows)), len(rows)).take(torch.arange(len(rows)))
