"""Tensors whose parts lie on several ranks (DTensor): inner products need a sum over these.

Nothing of torch.distributed.tensor, which is slow to import, is loaded for tensors that are whole.
"""

from collections.abc import Iterable
from typing import Any

import torch.distributed as dist
from torch import Tensor


def is_spread(tensor: object) -> bool:
    """Return whether other ranks hold parts of a tensor."""
    return type(tensor).__name__ == "DTensor"


def local_part(tensor: Tensor) -> Tensor:
    """Return what this rank holds of a tensor, in the same memory and without a graph."""
    if not is_spread(tensor):
        return tensor
    spread: Any = tensor
    local: Tensor = spread.detach().to_local()
    return local


def sum_over_shards(total: Tensor, parts: Iterable[object]) -> Tensor:
    """Sum what this rank has found of its shards over the ranks that hold the others; one all-reduce.

    Args:
        total: What it has found.
        parts: Of what; where all of it is whole, so is the total.
    """
    spread: Any = next((part for part in parts if is_spread(part)), None)
    if spread is not None:
        dist.all_reduce(total, group=spread.device_mesh.get_group())
    return total
