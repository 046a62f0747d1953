"""Precision of computations inside a caller's autocast."""

from contextlib import AbstractContextManager, nullcontext

import torch


def without_autocast(device_type: str) -> AbstractContextManager[object]:
    """Return a context without the caller's autocast.

    Entering `torch.autocast` takes tens of microseconds even where there is nothing to disable.

    Args:
        device_type: Such as `cpu`.
    """
    if not torch.is_autocast_enabled(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)
