"""Process-wide state of torch and random generators, so that a trial's result depends on its seed alone."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from l2rw_ray.data import rng_for
from l2rw_ray.training.arithmetic.network import forget_compiled
from l2rw_ray.training.arithmetic.precision import set_tf32

RngState = dict[str, Any]


def reset_process(threads: int, *, tf32: bool | None = None) -> None:
    """Reset torch's process-wide settings to those that every trial starts with.

    Args:
        threads: Intra-operation threads; their number changes the order of additions.
        tf32: Whether float32 products on GPUs are rounded; None for torch's defaults.
    """
    forget_compiled()
    set_tf32(tf32)
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def seed_globals(seed: int, purpose: str, *counters: int) -> None:
    """Seed torch's, NumPy's and Python's global generators.

    Modules initialise and drop out with the global generators, and custom models may use any.
    """
    value = int(torch.randint(2**31, (), generator=rng_for(seed, purpose, *counters)))
    torch.manual_seed(value)
    np.random.seed(value)  # noqa: NPY002  # a custom model may draw from the legacy generator
    random.seed(value)


def rng_state() -> RngState:
    """Return the global generators' state, in types that `torch.load(weights_only=True)` accepts."""
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "numpy": [str(name), torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest],
        "python": random.getstate(),
    }


def restore_rng(state: RngState) -> None:
    """Restore a state of the global generators that `rng_state` returned."""
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    random.setstate(state["python"])


@contextmanager
def preserved_rng_state() -> Iterator[None]:
    """Leave the global generators as they are, whatever the block draws, as some modules do when imported."""
    state = rng_state()
    try:
        yield
    finally:
        restore_rng(state)
