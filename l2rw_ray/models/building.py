"""Build a network by its name."""

import difflib
from collections.abc import Mapping
from typing import Any

from torch import nn

from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import FORM, is_import_path, is_of_timm, or_custom, users_code
from l2rw_ray.models.from_torchvision import torchvision_builder, torchvision_names
from l2rw_ray.models.pretrained import hugging_face
from l2rw_ray.models.pretrained.from_timm import timm_builder
from l2rw_ray.models.registry import FIELD, MODELS, Builder, InputShape
from l2rw_ray.models.text.inputs import TEXT_MODELS
from l2rw_ray.trees import Shapes

_NEAR = 3


def find_builder(name: str) -> Builder:
    """Return the builder of a network: one of this package, a custom one, or one of timm or torchvision.

    Args:
        name: A registered name, the import path of a builder, `timm:` and a name of timm, or a classification
            model of torchvision.

    Raises:
        InputError: The name is unknown, or cannot be imported.
    """
    if name in MODELS.names() or is_import_path(name):
        return MODELS.get(name)
    if is_of_timm(name):
        return timm_builder(name)
    if name in torchvision_names():
        return torchvision_builder(name)
    known = (*MODELS.names(), *torchvision_names())
    near = difflib.get_close_matches(name, known, n=_NEAR)
    remedy = f"did you mean {' or '.join(map(repr, near))}?" if near else f"use {', '.join(MODELS.names())}"
    without = "" if torchvision_names() else " (torchvision, which has more, is not installed)"
    raise ConfigError(FIELD, name, "unknown", f"{or_custom(remedy)}{without}")


def build_model(
    name: str,
    input_shape: Shapes,
    classes: int,
    options: Mapping[str, Any] | None = None,
    input_sizes: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Build a freshly initialised network; its weights come from torch's global generator.

    Args:
        name: A name, as for `find_builder`.
        input_shape: Shape of one input; of a tree a dict or tuple of those of its parts.
        classes: Outputs, one logit per class.
        options: Keyword arguments for the builder.
        input_sizes: Further ones, which follow from the inputs: `vocab_size` of texts,
            `category_sizes` of categories.

    Raises:
        InputError: The name is unknown, the network does not support such inputs, or a custom builder
            cannot be imported, raises or returns no module.
    """
    build, given = find_builder(name), {**(input_sizes or {}), **(options or {})}
    if not is_import_path(name):
        takes_parts = name in (*TEXT_MODELS, hugging_face.NAME) or (
            name == "mlp" and "category_sizes" in given
        )
        shape = input_shape if takes_parts else _one_shape(name, input_shape)
        return build(shape, classes, **given)
    with users_code(name, FIELD):
        network: object = build(input_shape, classes, **given)
    if not isinstance(network, nn.Module):
        raise ConfigError(FIELD, name, f"returned a {type(network).__name__}", "return a torch.nn.Module")
    return network


def _one_shape(name: str, input_shape: Shapes) -> InputShape:
    """Check that inputs are one tensor, as networks of this package and of torchvision take them."""
    if isinstance(input_shape, tuple) and all(isinstance(size, int) for size in input_shape):
        return input_shape
    problem = f"inputs are a {type(input_shape).__name__}, it takes one tensor"
    raise ConfigError(FIELD, name, problem, f"name a model of your own as {FORM}")
