"""Which function builds which network."""

from collections.abc import Callable

from torch import nn

from l2rw_ray.errors import ConfigError

InputShape = tuple[int, ...]
"""(channels, height, width) of images, (features,) of vectors."""
Builder = Callable[[InputShape, int], nn.Module]

_BUILDERS: dict[str, Builder] = {}


def register(name: str) -> Callable[[Builder], Builder]:
    """Make a function the builder of network `name`; a second one for the same name is an error."""

    def add(builder: Builder) -> Builder:
        if name in _BUILDERS:
            raise ValueError(f"model {name!r} is registered twice")
        _BUILDERS[name] = builder
        return builder

    return add


def build_model(name: str, input_shape: InputShape, classes: int) -> nn.Module:
    """A freshly initialised network; its weights come from torch's global generator.

    Args:
        name: A registered name.
        input_shape: Shape of one input.
        classes: Outputs, one logit per class.

    Raises:
        ConfigError: The name is unknown.
    """
    if name not in _BUILDERS:
        raise ConfigError("model.name", name, "unknown", f"use one of {', '.join(model_names())}")
    return _BUILDERS[name](input_shape, classes)


def model_names() -> tuple[str, ...]:
    """Every name that `build_model` takes."""
    return tuple(sorted(_BUILDERS))


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
