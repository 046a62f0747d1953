"""Find out whether a network supports images of a size, without computing anything."""

import torch
from torch import nn

from l2rw_ray.errors import ConfigError
from l2rw_ray.models.registry import FIELD, InputShape

_PROBED = 2
"""Images of the forward pass that checks their size."""


def forward_shapes(name: str, network: nn.Module, input_shape: InputShape) -> None:
    """Run a forward pass on the meta device, which computes, draws and writes nothing.

    Raises:
        ConfigError: The network does not support such images.
    """
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    shapes = {key: tensor.to("meta") for key, tensor in tensors.items()}
    try:
        with torch.no_grad():
            torch.func.functional_call(network, shapes, torch.empty(_PROBED, *input_shape, device="meta"))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise size_error(name, input_shape, error) from error


def size_error(name: str, input_shape: InputShape, error: Exception) -> ConfigError:
    """Return the error for images of a size that a network does not support."""
    size = "×".join(map(str, input_shape[1:]))
    problem = f"it does not support images of {size} ({str(error).rstrip('.!')})"
    return ConfigError(FIELD, name, problem, "use one that does, such as 'resnet18'")
