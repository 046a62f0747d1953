"""Gradient rules of layers and functions, tied by registries."""

from l2rw_ray.meta.alignment.layers import (
    attention,
    broadcast,
    convolution,
    embedding,
    embedding_bag,
    layer_functions,
    linear,
    linear_functions,
    normalisation,
)
from l2rw_ray.meta.alignment.layers.budget import FormingBudget, Memory
from l2rw_ray.meta.alignment.layers.expression import ParameterExpression
from l2rw_ray.meta.alignment.layers.gradients import RecordedGradients, leaves_of
from l2rw_ray.meta.alignment.layers.interface import ExampleGradients, LayerCall
from l2rw_ray.meta.alignment.layers.layer_calls import recorded_call
from l2rw_ray.meta.alignment.layers.linear import FactoredLinear
from l2rw_ray.meta.alignment.layers.recording import Place, Recording
from l2rw_ray.meta.alignment.layers.registry import layer_rule
from l2rw_ray.meta.alignment.layers.rows import row_axis

__all__ = [
    "ExampleGradients",
    "FactoredLinear",
    "FormingBudget",
    "LayerCall",
    "Memory",
    "ParameterExpression",
    "Place",
    "RecordedGradients",
    "Recording",
    "attention",
    "broadcast",
    "convolution",
    "embedding",
    "embedding_bag",
    "layer_functions",
    "layer_rule",
    "leaves_of",
    "linear",
    "linear_functions",
    "normalisation",
    "recorded_call",
    "row_axis",
]
