"""Which function builds which network."""

from collections.abc import Callable

from torch import nn

from l2rw_ray.errors import ConfigError
from l2rw_ray.registry import Registry

InputShape = tuple[int, ...]
"""(channels, height, width) of images, (features,) of vectors."""
Builder = Callable[[InputShape, int], nn.Module]

MODELS: Registry[Builder] = Registry("model.name")


def build_model(name: str, input_shape: InputShape, classes: int) -> nn.Module:
    """A freshly initialised network; its weights come from torch's global generator.

    Args:
        name: A registered name.
        input_shape: Shape of one input.
        classes: Outputs, one logit per class.

    Raises:
        InputError: The name is unknown.
    """
    return MODELS.get(name)(input_shape, classes)


def image_shape(name: str, input_shape: InputShape, smallest: int) -> InputShape:
    """The input shape, checked to be that of images a convolutional network can treat.

    Raises:
        ConfigError: It is a vector, or too small.
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < smallest:
        raise ConfigError(
            "model.name",
            name,
            f"inputs have shape {input_shape}, it wants images of at least {smallest}×{smallest}",
            "use 'mlp'",
        )
    return input_shape
