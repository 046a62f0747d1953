"""Which network is trained."""

from math import prod

from torch import nn


def build(input_shape: tuple[int, ...], num_classes: int, width: int = 256) -> nn.Module:
    """Two hidden layers with tanh.

    Args:
        input_shape: Shape of one input: (features,), or (channels, height, width) of images.
        num_classes: Outputs, one logit per class.
        width: Units of each hidden layer.
    """
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(prod(input_shape), width),
        nn.Tanh(),
        nn.Linear(width, width),
        nn.Tanh(),
        nn.Linear(width, num_classes),
    )
