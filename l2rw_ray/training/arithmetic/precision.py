"""Precision: autocast, the scaler of float16, and TensorFloat-32."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.amp import GradScaler

from l2rw_ray.config.training.precision import PrecisionName

_INITIAL_SCALE = 2.0**16
"""torch's own."""


class TrialScaler(GradScaler):
    """A `GradScaler` under which an example has the same gradient on any number of ranks.

    A rank's gradient is multiplied by their number before it is averaged, so that their initial scale is
    divided by it; else what is finite in one process may overflow with several.

    Args:
        device: Type of the model's device.
        world_size: Number of ranks.

    Attributes:
        is_used: Whether anything has been scaled.
    """

    def __init__(self, device: str, world_size: int) -> None:
        super().__init__(device, init_scale=_INITIAL_SCALE / world_size)
        self.is_used, self._world_size = False, world_size

    @property
    def metrics(self) -> dict[str, float]:
        """`loss_scale`: the present factor on the gradient of an example."""
        return {"loss_scale": self.get_scale() * self._world_size}

    def scale(self, outputs: Any) -> Any:
        """Return a tensor, or several, times the scale."""
        self.is_used = True
        return super().scale(outputs)


def scaler_for(precision: PrecisionName, device: torch.device, world_size: int) -> TrialScaler | None:
    """Return the scaler of a trial in float16; None in other precisions."""
    return TrialScaler(device.type, world_size) if precision == "float16" else None


def autocast(precision: PrecisionName, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which products are computed in the given precision, once."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))


def set_tf32(tf32: bool | None) -> None:
    """Let float32 products on GPUs be rounded to TensorFloat-32, or not; None for torch's own defaults."""
    backends: Any = torch.backends
    backends.cuda.matmul.fp32_precision = "tf32" if tf32 else "ieee"
    for operation in (backends.cudnn.conv, backends.cudnn.rnn):
        operation.fp32_precision = "ieee" if tf32 is False else "tf32"
