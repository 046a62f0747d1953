"""Which function builds which network."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import is_import_path, users_code
from l2rw_ray.registry import Registry

InputShape = tuple[int, ...]
"""(channels, height, width) of images, (features,) of vectors."""
Builder = Callable[..., nn.Module]
"""Takes the input shape and the number of classes; one of the user's own also its options, by keyword."""
_FIELD = "model.name"

MODELS: Registry[Builder] = Registry(_FIELD, import_paths=True)


def build_model(
    name: str, input_shape: InputShape, classes: int, options: Mapping[str, Any] | None = None
) -> nn.Module:
    """A freshly initialised network; its weights come from torch's global generator.

    Args:
        name: A registered name, or the import path of a builder.
        input_shape: Shape of one input.
        classes: Outputs, one logit per class.
        options: Keyword arguments for a builder of the user's own.

    Raises:
        InputError: The name is unknown; or the user's own builder cannot be imported, raises or
            returns no module.
    """
    build = MODELS.get(name)
    if not is_import_path(name):
        return build(input_shape, classes)
    with users_code(name, _FIELD):
        network: object = build(input_shape, classes, **(options or {}))
    if not isinstance(network, nn.Module):
        raise ConfigError(_FIELD, name, f"returned a {type(network).__name__}", "return a torch.nn.Module")
    return network


def image_shape(name: str, input_shape: InputShape, smallest: int) -> InputShape:
    """The input shape, checked to be that of images a convolutional network can treat.

    Raises:
        ConfigError: It is a vector, or too small.
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < smallest:
        raise ConfigError(
            _FIELD,
            name,
            f"inputs have shape {input_shape}, it wants images of at least {smallest}×{smallest}",
            "use 'mlp'",
        )
    return input_shape
