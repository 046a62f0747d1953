"""Which function builds which of our networks."""

from collections.abc import Callable

from torch import nn

from l2rw_ray.errors import ConfigError
from l2rw_ray.registry import Registry

InputShape = tuple[int, ...]
"""(channels, height, width) of images, (features,) of vectors."""
Builder = Callable[..., nn.Module]
"""Takes the input shape and the number of classes, and its options by keyword."""
FIELD = "model.name"

MODELS: Registry[Builder] = Registry(FIELD, import_paths=True)


def image_shape(name: str, input_shape: InputShape, smallest: int) -> InputShape:
    """The input shape, checked to be that of images a convolutional network can treat.

    Raises:
        ConfigError: It is a vector, or too small.
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < smallest:
        raise ConfigError(
            FIELD,
            name,
            f"inputs have shape {input_shape}, it wants images of at least {smallest}×{smallest}",
            "use 'mlp'",
        )
    return input_shape
