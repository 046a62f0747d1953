"""Gradient rules of layers, one file each, tied by a registry."""

from l2rw_ray.meta.alignment.layers import convolution, embedding, linear, normalisation
from l2rw_ray.meta.alignment.layers.interface import ExampleGradients, FormingBudget, LayerCall
from l2rw_ray.meta.alignment.layers.linear import FactoredLinear
from l2rw_ray.meta.alignment.layers.registry import layer_rule, ruled_types

__all__ = [
    "ExampleGradients",
    "FactoredLinear",
    "FormingBudget",
    "LayerCall",
    "convolution",
    "embedding",
    "layer_rule",
    "linear",
    "normalisation",
    "ruled_types",
]
