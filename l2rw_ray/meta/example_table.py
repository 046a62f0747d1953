"""One number per example of the data set, kept from step to step and equal on all ranks.

Shape suffixes: N examples of the data set, B this rank's batch.
"""

import torch
import torch.distributed as dist
from torch import Tensor

from l2rw_ray.errors import InputError
from l2rw_ray.meta.replicas import Replicas

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.uint8, torch.int8)
_LARGEST = 2**31
"""Positions beyond it are taken for mistakes: the table would want gigabytes."""


class ExampleTable:
    """A value of every example, by its position in the data set.

    Ranks tell each other what they write by a gather that is waited for only when the table is next used.

    Args:
        size: Examples it starts with; it grows with the positions it is given.
        fill: Value of an example that was never written.
        replicas: The ranks that must hold equal tables.
    """

    def __init__(self, size: int, fill: float, replicas: Replicas) -> None:
        self._fill, self._values_N = fill, torch.full((size,), fill)
        self._replicas = replicas
        self._pending: tuple[dist.Work, list[Tensor], list[int]] | None = None

    def write(self, index_B: Tensor, value_B: Tensor, sizes: list[int]) -> None:
        """Remember values of this rank's examples, and send them to the others.

        Args:
            index_B: Positions in the data set.
            value_B: Their values.
            sizes: Examples on each rank.
        """
        self._settle()
        if self._replicas.world_size == 1:
            self._store(index_B, value_B)
            return
        sent = value_B.new_zeros(2, max(sizes), dtype=torch.float64)  # float64 holds positions to 2^53
        sent[0, : len(index_B)], sent[1, : len(index_B)] = index_B, value_B
        received = [torch.empty_like(sent) for _ in sizes]
        work = dist.all_gather(received, sent, group=self._replicas.group, async_op=True)
        assert work is not None
        self._pending = (work, received, sizes)

    def read(self, index_B: Tensor) -> Tensor:
        """Return the values [B] of some examples."""
        self._settle()
        self._grow(index_B)
        return self._values_N.to(index_B.device)[index_B]

    def state(self) -> Tensor:
        """Return a copy of the whole table, [N]."""
        self._settle()
        return self._values_N.clone()

    def load(self, values_N: Tensor) -> None:
        """Take up a table that `state` returned."""
        self._settle()
        self._values_N = values_N.clone()

    def _settle(self) -> None:
        if self._pending is None:
            return
        work, received, sizes = self._pending
        self._pending = None
        work.wait()
        for pair, size in zip(received, sizes, strict=True):
            self._store(pair[0, :size].long(), pair[1, :size])

    def _store(self, index_B: Tensor, value_B: Tensor) -> None:
        self._grow(index_B)
        self._values_N = self._values_N.to(index_B.device, value_B.dtype)
        self._values_N[index_B] = value_B.detach()

    def _grow(self, index_B: Tensor) -> None:
        missing = (int(index_B.max()) + 1 if len(index_B) else 0) - len(self._values_N)
        if missing > 0:
            self._values_N = torch.cat([self._values_N, self._values_N.new_full((missing,), self._fill)])


def checked_positions(index_B: Tensor | None, count: int, reason: str) -> Tensor:
    """Check and return the positions of a batch's examples.

    Args:
        index_B: What the user gave.
        count: Examples in the batch.
        reason: What they are needed for.

    Raises:
        InputError: They are none, not integers, negative, or not one for each example.
    """
    remedy = "pass the examples' positions in the data set, an integer tensor [B]"
    if index_B is None:
        raise InputError("index_B", None, reason, remedy)
    kind = index_B.dtype if isinstance(index_B, Tensor) else type(index_B).__name__
    if not isinstance(index_B, Tensor) or index_B.dtype not in _INTEGERS:
        raise InputError("index_B", kind, reason, remedy)
    if index_B.shape != (count,):
        raise InputError("index_B", tuple(index_B.shape), f"the batch has {count} examples", remedy)
    if count and not 0 <= int(index_B.min()) <= int(index_B.max()) < _LARGEST:
        outside = int(index_B.min()) if int(index_B.min()) < 0 else int(index_B.max())
        raise InputError("index_B", outside, "no position in a data set", remedy)
    return index_B.long()
