"""Peak memory of a piece of work."""

import os
from collections.abc import Callable
from functools import cache

import torch
from torch.profiler import ProfilerActivity, profile


def peak_memory_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Return the peak of tensor memory allocated while work runs, beyond what was allocated before.

    It counts requests to torch's allocator, neither the interpreter nor the allocator's caches, so that
    equal work has equal peaks in every process.

    Args:
        work: Called once; on CPUs under torch's profiler, which slows it down.
        device: Where it runs.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    _begin_profiling()
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


@cache
def _begin_profiling() -> None:
    """Use the profiler once with standard error discarded: it warns at first use outside the main thread."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    standard_error = 2
    saved = os.dup(standard_error)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), standard_error)
    try:
        with profile(activities=[ProfilerActivity.CPU]):
            pass
    finally:
        os.dup2(saved, standard_error)
        os.close(saved)
