"""Keeping freed memory for the next step, where the C library would give it back, and giving it back."""

import ctypes
import gc
from collections.abc import Callable

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""
_MAX_MMAP_THRESHOLD = 32 * 2**20
_KEPT_BYTES = 2**30


def keep_freed_memory() -> bool:
    """Have glibc keep up to a gibibyte of what was freed, for the whole process.

    By default it gives the memory of large tensors back to the kernel, which hands out zeroed pages
    again a moment later: on a CPU that is a tenth to a fifth of a convolutional network's step.

    Returns:
        Whether there was a glibc to tell.
    """
    mallopt = _glibc("mallopt")
    if mallopt is None:
        return False
    kept = mallopt(_TRIM_THRESHOLD, _KEPT_BYTES), mallopt(_MMAP_THRESHOLD, _MAX_MMAP_THRESHOLD)
    return all(kept)


def give_back_freed_memory() -> bool:
    """Give the kernel back what nothing refers to any more, so that resident memory tells what is in use.

    Returns:
        Whether there was a glibc to tell.
    """
    gc.collect()
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim is None:
        return False
    malloc_trim(0)
    return True


def _glibc(function: str) -> Callable[..., int] | None:
    """A function of glibc; None with another C library."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL("libc.so.6"), function)
    except (OSError, AttributeError):
        return None
    return found
