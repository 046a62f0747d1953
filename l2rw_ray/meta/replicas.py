"""What the ranks of one data-parallel group must share for a step to equal that of one process."""

from dataclasses import dataclass
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class BatchTotals:
    """Sums over the global batch.

    Attributes:
        weight: Sum of the clipped scores' magnitudes, a scalar.
        sizes: Examples on each rank, [W].
    """

    weight: Tensor
    sizes: Tensor

    @property
    def global_size(self) -> Tensor:
        """Examples in the global batch."""
        return self.sizes.sum()


@dataclass(frozen=True)
class Replicas:
    """The ranks that train one model together.

    Attributes:
        module: The network itself.
        rank: This process among them.
        world_size: How many there are.
        group: Their process group; None for a single process.
    """

    module: nn.Module
    rank: int = 0
    world_size: int = 1
    group: dist.ProcessGroup | None = None

    @classmethod
    def of(cls, model: nn.Module) -> Self:
        """The ranks of a DistributedDataParallel model, or the one process of any other module."""
        if not isinstance(model, DistributedDataParallel):
            return cls(model)
        group = model.process_group
        return cls(model.module, dist.get_rank(group), dist.get_world_size(group), group)

    def sum(self, tensor: Tensor) -> Tensor:
        """Elementwise sum over ranks, in place; one blocking all-reduce."""
        if self.world_size > 1:
            dist.all_reduce(tensor, group=self.group)
        return tensor

    def mean_gradient(
        self, gradient: dict[str, Tensor], loss_sum: Tensor, count: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Mean gradient and mean loss over all ranks' examples, in one all-reduce.

        Args:
            gradient: Gradient of the summed loss of this rank's examples, by parameter name.
            loss_sum: That loss, a scalar.
            count: This rank's examples; shares may be unequal, or empty.
        """
        if self.world_size == 1:
            return {name: part / count for name, part in gradient.items()}, loss_sum / count
        tail = torch.stack([loss_sum.detach(), loss_sum.new_tensor(float(count))])
        flat = self.sum(torch.cat([*(part.reshape(-1) for part in gradient.values()), tail]))
        mean = flat[:-1] / flat[-1]
        parts = mean[:-1].split([part.numel() for part in gradient.values()])
        shaped = (part.view_as(like) for part, like in zip(parts, gradient.values(), strict=True))
        return dict(zip(gradient, shaped, strict=True)), mean[-1]

    def batch_totals(self, weight: Tensor, size: int) -> BatchTotals:
        """Sum a scalar over ranks and learn how many examples each has, in one all-reduce.

        Args:
            weight: This rank's share of the sum, a scalar.
            size: This rank's examples.
        """
        totals = weight.new_zeros(1 + self.world_size)
        totals[0], totals[1 + self.rank] = weight, size
        totals = self.sum(totals)
        return BatchTotals(totals[0], totals[1:])
