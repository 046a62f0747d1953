"""Rows that stay in Parquet files, and the order in which passes read them.

Shape suffixes: N examples, G row groups.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config.data.streaming import StreamOptions
from l2rw_ray.data.cache import CacheSection, cached
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.data.streaming.parts import RowPart, read_here
from l2rw_ray.data.streaming.row_reader import RowReader, packed
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.data.tables.row_groups import RowGroup, row_groups

if TYPE_CHECKING:
    from l2rw_ray.data.tables.table import Table

_SETS = CacheSection("sets", max_bytes=20 * 2**30)


@dataclass(frozen=True)
class StoredRows:
    """The inputs of a table, in its files.

    Attributes:
        table: The table.
        reader: What makes inputs of its rows.
        groups: The row groups, in order.
        window: Rows that are shuffled together.
        in_memory: Whether inputs are held in memory, still in the order of their files.
    """

    table: "Table"
    reader: RowReader
    groups: tuple[RowGroup, ...]
    window: int
    in_memory: bool

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

    def parts(self, rows_K: Tensor) -> Iterator[RowPart]:
        """Yield some rows as parts, in the order given; rows of a group follow each other, ascending.

        Args:
            rows_K: Rows of the table, int64.
        """
        groups_K = self._group_of(rows_K)
        numbers, counts = torch.unique_consecutive(groups_K, return_counts=True)
        for number, rows in zip(numbers.tolist(), rows_K.split(counts.tolist()), strict=True):
            group = self.groups[number]
            places = (rows - group.start).int().numpy()
            yield RowPart(self.table.filesystem, self.reader, group, places)

    def read(self, rows_K: Tensor) -> Any:
        """Read inputs into memory, cached by rows.

        Args:
            rows_K: Their rows, in any order, each once, int64.

        Returns:
            As `ExampleSet.inputs` are where they are held, [K, …].

        Raises:
            DataError, OutOfReachError: As `RowPart.read` does.
        """
        digest = hashlib.sha256(rows_K.numpy().tobytes()).hexdigest()
        identity = {"files": self.table.identity, **self.reader.identity, "rows": digest}
        return self.reader.inputs(cached(identity, lambda: self._in_order(rows_K), _SETS), len(rows_K))

    def iterate(self, rows_K: Tensor) -> Iterator[Array]:
        """Iterate over some rows, read as they are asked for.

        Args:
            rows_K: Their rows, ascending, int64.
        """
        for read in read_here(list(self.parts(rows_K))):
            yield from read

    def _in_order(self, rows_K: Tensor) -> Array:
        order, form = rows_K.argsort(), self.reader.format
        arriving = zip(order.tolist(), self.iterate(rows_K[order]), strict=True)
        if form.shape is None:
            by_place = dict(arriving)
            return packed([by_place[place] for place in range(len(rows_K))])
        values_K = np.empty((len(rows_K), *form.shape), dtype=form.dtype)
        for place, row in arriving:
            values_K[place] = row
        return values_K

    def _group_of(self, rows_K: Tensor) -> Tensor:
        starts_G = torch.tensor([group.start for group in self.groups])
        return torch.searchsorted(starts_G, rows_K, right=True) - 1


def stored_rows(options: StreamOptions, table: "Table", reader: RowReader) -> StoredRows:
    """Return the inputs of a table of Parquet files.

    Args:
        options: The study's streaming options.
        table: The table.
        reader: What makes inputs of its rows.

    Raises:
        DataError, OutOfReachError: A file's footer cannot be read.
    """
    return StoredRows(table, reader, row_groups(table), options.window, options.in_memory)
