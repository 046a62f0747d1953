"""Peak memory of this process, or of its accelerator."""

from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def reset_peak_memory(device: torch.device) -> None:
    """Start a new peak: allocated memory on CUDA, resident memory of the process elsewhere."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        _CLEAR.write_text("5")  # resets VmHWM, proc(5)
    except OSError:
        return  # not Linux, or a container that forbids it: the peak is then the process's own


def peak_memory_bytes(device: torch.device) -> float:
    """The peak since the last reset, in bytes; NaN where the system does not tell.

    On a CPU it is everything the process holds, the interpreter and the data set included, so
    differences between trials mean something and absolute figures do not.
    """
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return float("nan")
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), float("nan"))
