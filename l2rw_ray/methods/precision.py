"""The precision of losses."""

import torch
from torch import Tensor


def at_least_float32(outputs: Tensor) -> Tensor:
    """Return outputs in float32 where autocast left less; float64 stays."""
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))
