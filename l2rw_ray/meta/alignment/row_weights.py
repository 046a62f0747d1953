"""Weights of rows, of which many are zero: those rows need not be multiplied.

Clipped scores leave about half of a batch without a weight.

Shape suffixes: B rows.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

_STEPS = 8
"""Numbers of kept rows that there may be, B/8 apart: oneDNN prepares a kernel for each shape."""


@dataclass(frozen=True)
class RowWeights:
    """A weight for each row.

    Attributes:
        values: The weights, [B].
        kept: Positions of the rows that have one, filled up with others to a multiple of B/8; None for all
            rows, and on devices that would have to wait for the number.
    """

    values: Tensor
    kept: Tensor | None = None

    @classmethod
    def of(cls, weights_B: Tensor) -> Self:
        """Find the rows that have a weight."""
        if weights_B.device.type != "cpu":
            return cls(weights_B)
        size, count = len(weights_B), int(weights_B.count_nonzero())
        if not size:
            return cls(weights_B)
        step = -(-size // _STEPS)
        count = -(-count // step) * step
        if count >= size:
            return cls(weights_B)
        weighted_first = (weights_B == 0).sort(stable=True).indices
        return cls(weights_B, weighted_first[:count])

    def repeated(self, count: int) -> Self:
        """Return the weights of examples that have several rows each."""
        kept = self.kept
        if kept is not None:
            kept = (kept.unsqueeze(1) * count + torch.arange(count)).flatten()
        return type(self)(self.values.repeat_interleave(count), kept)

    def scaled(self, rows: Tensor) -> Tensor:
        """Multiply each row of [B, …] by its weight."""
        return rows * self.values.to(rows).view(-1, *[1] * (rows.ndim - 1))

    def scaled_pair(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Return what has the weighted sum of products for its product: kept rows, one factor scaled.

        Args:
            left: Rows, [B, …].
            right: Rows, [B, …]; the smaller one is scaled.
        """
        weights = self
        if self.kept is not None:
            left, right = left.index_select(0, self.kept), right.index_select(0, self.kept)
            weights = self._of_kept
        if left.numel() < right.numel():
            return weights.scaled(left), right
        return left, weights.scaled(right)

    @cached_property
    def _of_kept(self) -> Self:
        """The weights of the kept rows alone."""
        assert self.kept is not None, "all rows are kept"
        return type(self)(self.values.index_select(0, self.kept))
