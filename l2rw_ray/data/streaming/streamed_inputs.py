"""Read the inputs of the next batches while earlier ones are trained on."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing

import torch
from torch import Tensor

from l2rw_ray.data.streaming.parts import ReadParts, RowPart
from l2rw_ray.data.streaming.stored_rows import StoredRows
from l2rw_ray.data.tables.bad_rows import Array
from l2rw_ray.trees import Tree


def streamed_inputs(
    stored: StoredRows, rows_N: Tensor, arrival_N: Tensor, shares: Sequence[Tensor], read_parts: ReadParts
) -> Generator[Tree]:
    """Yield the inputs of one rank's share of each batch of a pass, without reading other ranks' rows.

    Rows that arrive before they are needed are held: at most the rank's rows of a window, one read, and a
    batch.

    Args:
        stored: Where the rows are.
        rows_N: Row of each example of the set, int64.
        arrival_N: Positions in the set in the order in which a pass reads them, int64.
        shares: Positions of the share of each batch; those of one window before those of the next.
        read_parts: Brings the rows here.

    Yields:
        What `ExampleSet.inputs_of` returns of a set in memory, [B, …].
    """
    is_own_N = torch.zeros(len(rows_N), dtype=torch.bool)
    for share in shares:
        is_own_N[share] = True
    own = arrival_N[is_own_N[arrival_N]]
    held: dict[int, Array] = {}
    with closing(_arriving(own, list(stored.parts(rows_N[own])), read_parts)) as arriving:
        for share in shares:
            positions = share.tolist()
            while not all(position in held for position in positions):
                held.update(next(arriving))
            yield stored.reader.batch([held.pop(position) for position in positions])


def _arriving(
    own: Tensor, parts: Sequence[RowPart], read_parts: ReadParts
) -> Generator[Iterable[tuple[int, Array]]]:
    """Yield positions with their rows, several at a time."""
    done = 0
    with closing(read_parts(parts)) as reading:
        for rows in reading:
            yield zip(own[done : done + len(rows)].tolist(), rows, strict=True)
            done += len(rows)
