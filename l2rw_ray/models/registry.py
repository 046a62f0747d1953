"""The builders of this package's networks by name."""

from collections.abc import Callable

from torch import nn

from l2rw_ray.errors import ConfigError
from l2rw_ray.registry import Registry

InputShape = tuple[int, ...]
"""(channels, height, width) of images, (features,) of vectors."""
Builder = Callable[..., nn.Module]
"""Builds a network from the input shape, the number of classes, and options by keyword."""
FIELD = "model.name"

MODELS: Registry[Builder] = Registry(FIELD, import_paths=True)


def image_shape(name: str, input_shape: InputShape, smallest: int) -> InputShape:
    """Check that an input shape is of images a convolutional network supports, and return it.

    Raises:
        ConfigError: It is of vectors, or too small.
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < smallest:
        raise ConfigError(
            FIELD,
            name,
            f"inputs have shape {input_shape}, it needs images of at least {smallest}×{smallest}",
            "use 'mlp'",
        )
    return input_shape
