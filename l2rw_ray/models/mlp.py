"""A multilayer perceptron."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Literal

from torch import nn

from l2rw_ray.models.category_inputs import FEATURES, CategoryInputs
from l2rw_ray.models.registry import MODELS
from l2rw_ray.trees import Shapes


@MODELS.register("mlp")
def mlp(
    input_shape: Shapes,
    classes: int,
    width: int = 128,
    depth: int = 2,
    categories: Literal["one_hot", "embedding"] = "one_hot",
    category_width: int = 8,
    category_sizes: Sequence[int] = (),
) -> nn.Module:
    """Build hidden layers with ReLU, on flattened inputs of any shape, or on numbers and categories.

    Args:
        input_shape: Shape of one input; of numbers and categories a dict of theirs.
        classes: Outputs.
        width: Units of each hidden layer.
        depth: Hidden layers.
        categories: How categories are put.
        category_width: Length of an embedding.
        category_sizes: Indices of each column of categories; empty for inputs that are one tensor.
    """
    first: nn.Module = nn.Flatten()
    if category_sizes:
        features = prod(input_shape.get(FEATURES, (0,)))
        first = CategoryInputs(features, category_sizes, categories, category_width)
    size = first.size if isinstance(first, CategoryInputs) else prod(input_shape)
    widths = [size, *[width] * depth]
    layers: list[nn.Module] = []
    for narrower, wider in pairwise(widths):
        layers += [nn.Linear(narrower, wider), nn.ReLU()]
    return nn.Sequential(first, *layers, nn.Linear(widths[-1], classes))
