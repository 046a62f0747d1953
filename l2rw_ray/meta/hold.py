"""Each example's last weight, remembered between the steps that compute weights."""

import torch
import torch.distributed as dist
from torch import Tensor

from l2rw_ray.meta.replicas import Replicas


class HoldTable:
    """Last weight of every example relative to uniform (w_i · B), 1 where it was never computed.

    Ranks tell each other their weights by a gather that nobody waits for until the table is read.

    Args:
        size: Examples it starts with; it grows with the indices it is given.
        replicas: The ranks that must hold equal tables.
    """

    def __init__(self, size: int, replicas: Replicas) -> None:
        self._relative_N = torch.ones(size)
        self._replicas = replicas
        self._pending: tuple[dist.Work, list[Tensor], list[int]] | None = None

    def write(self, index_B: Tensor, relative_B: Tensor, sizes: list[int]) -> None:
        """Remember the relative weights of this rank's examples, and send them to the others.

        Args:
            index_B: Positions in the data set.
            relative_B: Weights times the size of the global batch.
            sizes: Examples on each rank.
        """
        self._settle()
        if self._replicas.world_size == 1:
            self._store(index_B, relative_B)
            return
        sent = relative_B.new_zeros(2, max(sizes), dtype=torch.float64)  # float64 holds indices to 2^53
        sent[0, : len(index_B)], sent[1, : len(index_B)] = index_B, relative_B
        received = [torch.empty_like(sent) for _ in sizes]
        work = dist.all_gather(received, sent, group=self._replicas.group, async_op=True)
        assert work is not None
        self._pending = (work, received, sizes)

    def read(self, index_B: Tensor) -> Tensor:
        """Relative weights [B] of some examples."""
        self._settle()
        self._grow(index_B)
        return self._relative_N.to(index_B.device)[index_B]

    def state(self) -> Tensor:
        """The whole table, [N]."""
        self._settle()
        return self._relative_N.clone()

    def load(self, relative_N: Tensor) -> None:
        """Take up a table that `state` returned."""
        self._relative_N = relative_N.clone()

    def _settle(self) -> None:
        if self._pending is None:
            return
        work, received, sizes = self._pending
        self._pending = None
        work.wait()
        for pair, size in zip(received, sizes, strict=True):
            self._store(pair[0, :size].long(), pair[1, :size])

    def _store(self, index_B: Tensor, relative_B: Tensor) -> None:
        self._grow(index_B)
        self._relative_N = self._relative_N.to(index_B.device, relative_B.dtype)
        self._relative_N[index_B] = relative_B.detach()

    def _grow(self, index_B: Tensor) -> None:
        missing = (int(index_B.max()) + 1 if len(index_B) else 0) - len(self._relative_N)
        if missing > 0:
            self._relative_N = torch.cat([self._relative_N, self._relative_N.new_ones(missing)])
