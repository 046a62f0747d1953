"""Memory that a piece of work allocates at its peak."""

import os
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile


def peak_memory_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Tensor memory allocated while something runs, at its peak, beyond what was allocated before.

    It counts what torch's allocator is asked for: not the interpreter, not what earlier work left to
    the allocator's caches, so equal work has equal peaks in every process.

    Args:
        work: What to run; it runs once, on CPUs under torch's profiler, which slows it down.
        device: Where it runs.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler is chatty
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiled:
        work()
    recorded = profiled.profiler
    assert recorded is not None
    assert recorded.kineto_results is not None
    held = peak = 0
    for event in recorded.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak
