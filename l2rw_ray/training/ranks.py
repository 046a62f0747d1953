"""The data-parallel workers of one trial."""

from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

_T = TypeVar("_T")


@dataclass(frozen=True)
class Ranks:
    """This process among the trial's workers.

    Attributes:
        rank: Position, from 0.
        world_size: How many there are; above 1 a default process group exists.
    """

    rank: int = 0
    world_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one rank that emits events and writes files."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model under DistributedDataParallel, or as it is when there is one worker."""
        if self.world_size == 1:
            return model
        return nn.parallel.DistributedDataParallel(model)

    def broadcast(self, value: _T | None) -> _T:
        """Rank 0's value, on every rank; what the others give does not count."""
        box: list[Any] = [value]
        if self.world_size > 1:
            dist.broadcast_object_list(box, src=0)
        result: _T = box[0]
        return result

    def gather(self, value: _T) -> list[_T]:
        """Every rank's value, in order of rank."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def sum(self, tensor: Tensor) -> Tensor:
        """Elementwise sum over ranks, in place."""
        if self.world_size > 1:
            dist.all_reduce(tensor)
        return tensor

    def share_buffers(self, model: nn.Module) -> None:
        """Rank 0's buffers on every rank: each has run BatchNorm's statistics over its own batches."""
        if self.world_size > 1:
            for buffer in unwrapped(model).buffers():
                dist.broadcast(buffer, src=0)

    def maximum(self, value: float) -> float:
        """The largest of the ranks' values."""
        return max(self.gather(value))

    def share(self, count: int) -> slice:
        """The contiguous part of `count` items that belongs to this rank."""
        return slice(count * self.rank // self.world_size, count * (self.rank + 1) // self.world_size)


def is_lost_peer(error: BaseException) -> bool:
    """Whether an exception says that another rank has gone, rather than that this one did wrong.

    Gloo reports it as a plain RuntimeError that names its transport.
    """
    if isinstance(error, dist.DistError):
        return True
    return isinstance(error, RuntimeError) and any(name in str(error) for name in ("gloo", "NCCL"))


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside a DistributedDataParallel wrapper, or the network itself."""
    if isinstance(model, nn.parallel.DistributedDataParallel):
        inner: nn.Module = model.module
        return inner
    return model


def device_of(model: nn.Module) -> torch.device:
    """Where the model's parameters live."""
    return next(model.parameters()).device
