"""A trial's result must not depend on what its process ran before."""

import random
from typing import Any

import numpy as np
import torch

from l2rw_ray.data import rng_for

RngState = dict[str, Any]


def reset_process(threads: int) -> None:
    """Put torch's process-wide settings back to what every trial starts from.

    Args:
        threads: Intra-operation threads; fewer or more change the order of additions.
    """
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def seed_globals(seed: int, purpose: str, *counters: int) -> None:
    """Seed torch's, NumPy's and Python's global generators from one stream.

    Modules initialise and drop out with the global generators, and a user's own model may use any.
    """
    value = int(torch.randint(2**31, (), generator=rng_for(seed, purpose, *counters)))
    torch.manual_seed(value)
    np.random.seed(value)  # noqa: NPY002  # a user's model may draw from the legacy generator
    random.seed(value)


def rng_state() -> RngState:
    """The global generators' state, in types that `torch.load(weights_only=True)` accepts."""
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "numpy": [str(name), torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest],
        "python": random.getstate(),
    }


def restore_rng(state: RngState) -> None:
    """Put the global generators back to a state that `rng_state` returned."""
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    random.setstate(state["python"])
