"""A multilayer perceptron."""

from math import prod

from torch import nn

from l2rw_ray.models.registry import MODELS, InputShape

_HIDDEN = 128


@MODELS.register("mlp")
def mlp(input_shape: InputShape, classes: int) -> nn.Module:
    """Two hidden layers of 128 with ReLU, on flattened inputs of any shape."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(prod(input_shape), _HIDDEN),
        nn.ReLU(),
        nn.Linear(_HIDDEN, _HIDDEN),
        nn.ReLU(),
        nn.Linear(_HIDDEN, classes),
    )
