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
        world_size: Number of ranks; above 1 a default process group exists.
    """

    rank: int = 0
    world_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the rank that emits events and writes files."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model wrapped in DistributedDataParallel, or unchanged for one worker."""
        if self.world_size == 1:
            return model
        return nn.parallel.DistributedDataParallel(model)

    def broadcast(self, value: _T | None) -> _T:
        """Return rank 0's value on every rank."""
        box: list[Any] = [value]
        if self.world_size > 1:
            dist.broadcast_object_list(box, src=0)
        result: _T = box[0]
        return result

    def gather(self, value: _T) -> list[_T]:
        """Return every rank's value, in order of rank."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over ranks in place, and return it."""
        if self.world_size > 1:
            dist.all_reduce(tensor)
        return tensor

    def share_buffers(self, model: nn.Module) -> None:
        """Copy rank 0's buffers to every rank: BatchNorm's statistics differ between ranks."""
        if self.world_size > 1:
            for buffer in unwrapped(model).buffers():
                dist.broadcast(buffer, src=0)

    def maximum(self, value: float) -> float:
        """Return the largest of the ranks' values."""
        return max(self.gather(value))

    def share(self, count: int) -> slice:
        """Return this rank's contiguous part of `count` items."""
        return slice(count * self.rank // self.world_size, count * (self.rank + 1) // self.world_size)


def is_lost_peer(error: BaseException) -> bool:
    """Return whether an exception means that another rank was lost, rather than an error of this one.

    Gloo raises a plain RuntimeError that names its transport.
    """
    if isinstance(error, dist.DistError):
        return True
    return isinstance(error, RuntimeError) and any(name in str(error) for name in ("gloo", "NCCL"))


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the network inside a DistributedDataParallel wrapper, or the network itself."""
    if isinstance(model, nn.parallel.DistributedDataParallel):
        inner: nn.Module = model.module
        return inner
    return model


def device_of(model: nn.Module) -> torch.device:
    """Return the device of the model's parameters."""
    return next(model.parameters()).device
