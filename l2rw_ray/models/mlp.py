"""A multilayer perceptron."""

from itertools import pairwise
from math import prod

from torch import nn

from l2rw_ray.models.registry import MODELS, InputShape


@MODELS.register("mlp")
def mlp(input_shape: InputShape, classes: int, width: int = 128, depth: int = 2) -> nn.Module:
    """Build hidden layers with ReLU, on flattened inputs of any shape.

    Args:
        input_shape: Shape of one input.
        classes: Outputs.
        width: Units of each hidden layer.
        depth: Hidden layers.
    """
    widths = [prod(input_shape), *[width] * depth]
    layers: list[nn.Module] = []
    for narrower, wider in pairwise(widths):
        layers += [nn.Linear(narrower, wider), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(widths[-1], classes))
