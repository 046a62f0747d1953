"""Compilation and memory format of a trial's network."""

import inspect
import sys
from typing import Any

import torch
from torch import nn

from l2rw_ray.config import TrialConfig
from l2rw_ray.errors import ConfigError

BACKEND = "inductor"
"""What torch.compile compiles with."""
_MAX_GRAPHS = 64
"""Graphs of one network: of whole and last batches, meta batches and sets, in both modes."""


def prepare_network(network: nn.Module, config: TrialConfig) -> None:
    """Give a network on its device the memory format of a trial, and compile it, both in place.

    Each shape of batch has a graph of its own, so that results do not depend on the order in which shapes
    came, which is another one after a resumption.

    Raises:
        ConfigError: Channels are to be last, and there is no convolution of images.
    """
    if config.channels_last:
        if not any(parameter.ndim == 4 for parameter in network.parameters()):
            problem = f"model {config.model.name!r} has no convolution of images"
            raise ConfigError("trial.channels_last", True, problem, "leave it out")
        network.to(memory_format=torch.channels_last)
    if config.compile:
        network.compile(dynamic=False, backend=BACKEND, **_limit())


def forget_compiled() -> None:
    """Drop what earlier trials of this process compiled, which counts towards torch's limit of graphs."""
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()


def _limit() -> dict[str, Any]:
    """Return the option for the number of graphs; beyond torch's own 8 it would go on without compiling."""
    if "recompile_limit" in inspect.signature(torch.compile).parameters:
        return {"recompile_limit": _MAX_GRAPHS}
    torch._dynamo.config.recompile_limit = _MAX_GRAPHS  # before torch 2.13
    return {}
