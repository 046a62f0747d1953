"""Images that stay in Parquet files, and the order in which passes read them.

Shape suffixes: N examples, G row groups.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config.data.source_options import ImageMode, ImageSize
from l2rw_ray.config.data.streaming import StreamOptions
from l2rw_ray.data.cache import CacheSection, cached
from l2rw_ray.data.images.decoding import decoding_identity
from l2rw_ray.data.images.parts import ImagePart, read_here
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.data.tables.row_groups import RowGroup, row_groups

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

    from l2rw_ray.data.tables.table import Table

_SETS = CacheSection("sets", max_bytes=20 * 2**30)


@dataclass(frozen=True)
class StoredImages:
    """The image column of a table.

    Attributes:
        filesystem: Where its files are.
        column: Its name.
        shape: Shape of one image, (C, H, W).
        groups: The row groups, in order.
        window: Images that are shuffled together.
        in_memory: Whether they are held in memory, still in the order of their files.
        identity: Key of their cache entry.
        size: Height and width that images are resized to; None leaves them.
        mode: Whether they are read as grey or in colour; None for grey if the first image is.
    """

    filesystem: "FileSystem"
    column: str
    shape: tuple[int, ...]
    groups: tuple[RowGroup, ...]
    window: int
    in_memory: bool
    identity: dict[str, object]
    size: ImageSize | None = None
    mode: ImageMode | None = None

    def arrival(self, rows_N: Tensor, seed: int, epoch: int) -> Tensor:
        """Return the order in which one pass reads rows: row groups shuffled, rows ascending within each.

        Args:
            rows_N: Row of each example in the table, each once, int64.
            seed: The trial's seed.
            epoch: Passes before this one.

        Returns:
            Positions in `rows_N`, int64 [N].
        """
        turn_G = torch.randperm(len(self.groups), generator=rng_for(seed, "row_groups", epoch)).argsort()
        by_row = rows_N.argsort()
        return by_row[turn_G[self._group_of(rows_N[by_row])].argsort(stable=True)]

    def windowed(self, arrival_N: Tensor, seed: int, epoch: int) -> Tensor:
        """Return the order in which one pass trains on examples: shuffled within windows of arrival order.

        Args:
            arrival_N: What `arrival` returned.
            seed: The trial's seed.
            epoch: Passes before this one.

        Returns:
            int64 [N].
        """
        generator = rng_for(seed, "window", epoch)
        windows = arrival_N.split(self.window)
        return torch.cat([part[torch.randperm(len(part), generator=generator)] for part in windows])

    def parts(self, rows_K: Tensor) -> Iterator[ImagePart]:
        """Yield some rows as parts, in the order given; rows of a group follow each other, ascending.

        Args:
            rows_K: Rows of the table, int64.
        """
        groups_K = self._group_of(rows_K)
        numbers, counts = torch.unique_consecutive(groups_K, return_counts=True)
        for number, rows in zip(numbers.tolist(), rows_K.split(counts.tolist()), strict=True):
            group = self.groups[number]
            places = (rows - group.start).int().numpy()
            yield ImagePart(self.filesystem, self.column, self.shape, group, places, self.size, self.mode)

    def read(self, rows_K: Tensor) -> Tensor:
        """Read images into memory, uint8 [K, C, H, W], cached by rows.

        Args:
            rows_K: Their rows, in any order, each once, int64.

        Raises:
            DataError, OutOfReachError: As `ImagePart.images` does.
        """
        digest = hashlib.sha256(rows_K.numpy().tobytes()).hexdigest()
        return cached({**self.identity, "rows": digest}, lambda: self._decode(rows_K), _SETS)

    def _decode(self, rows_K: Tensor) -> Array:
        order = rows_K.argsort()
        images, done = np.empty((len(rows_K), *self.shape), dtype=np.uint8), 0
        for read in read_here(list(self.parts(rows_K[order]))):
            images[order[done : done + len(read)].numpy()] = read
            done += len(read)
        return images

    def _group_of(self, rows_K: Tensor) -> Tensor:
        starts_G = torch.tensor([group.start for group in self.groups])
        return torch.searchsorted(starts_G, rows_K, right=True) - 1


def stored_images(
    options: StreamOptions,
    table: "Table",
    column: str,
    shape: tuple[int, ...],
    size: ImageSize | None = None,
    mode: ImageMode | None = None,
) -> StoredImages:
    """Return the image column of a table of Parquet files.

    Args:
        options: The study's streaming options.
        table: The table.
        column: The column's name.
        shape: Shape of one image, (C, H, W).
        size: Height and width that images are resized to; None leaves them.
        mode: Whether they are read as grey or in colour; None for grey if the first image is.

    Raises:
        DataError, OutOfReachError: A file's footer cannot be read.
    """
    identity: dict[str, object] = {"files": table.identity, "image": column}
    identity |= decoding_identity(size, mode)
    return StoredImages(
        table.filesystem,
        column,
        shape,
        row_groups(table),
        options.window,
        options.in_memory,
        identity,
        size,
        mode,
    )
