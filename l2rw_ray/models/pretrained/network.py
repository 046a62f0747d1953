"""Build the network of a trial's `model` section, with its trained weights."""

from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from l2rw_ray.config.model import HuggingFaceModel, Model, TimmModel, TorchvisionModel
from l2rw_ray.errors import ConfigError, first_line
from l2rw_ray.models.building import build_model
from l2rw_ray.models.pretrained.batch_norm import freeze_batch_norm
from l2rw_ray.models.pretrained.filling import LoadedWeights, fill
from l2rw_ray.models.pretrained.from_timm import timm_weights
from l2rw_ray.models.pretrained.hugging_face import trained_hugging_face
from l2rw_ray.models.pretrained.state_files import FIELD, read_state
from l2rw_ray.trees import Shapes
from l2rw_ray.weight_files import PRETRAINED


def build_network(
    config: Model, input_shape: Shapes, classes: int, input_sizes: Mapping[str, Any] | None = None
) -> tuple[nn.Module, LoadedWeights | None]:
    """Build the network of a `model` section; what is fresh comes from torch's global generator.

    Args:
        config: The section.
        input_shape: Shape of one input; of a tree a dict or tuple of those of its parts.
        classes: Outputs.
        input_sizes: As for `build_model`.

    Returns:
        The network, and what it took from its weights; None where it has none.

    Raises:
        InputError: It cannot be built for such inputs, or its weights cannot be read or do not fit.
    """
    sizes, loaded = input_sizes or {}, None
    if isinstance(config, HuggingFaceModel):
        network, loaded = trained_hugging_face(input_shape, classes, **sizes, **config.options)
    elif isinstance(config, TimmModel) and config.weights == PRETRAINED:
        network = build_model(config.name, input_shape, classes, {"pretrained": True}, sizes)
        loaded = timm_weights(config.name, network, classes)
    else:
        network = build_model(config.name, input_shape, classes, config.options, sizes)
        if config.weights is not None:
            state = read_state(config.weights) if config.weights_file else _release(config)
            by_order = config.match == "order"
            loaded = fill(network, state, classes, config.weights, name=config.name, by_order=by_order)
    if config.freeze_batch_norm:
        freeze_batch_norm(network, config.name)
    return network, loaded


def torchvision_release(name: str, weights: str) -> Any:
    """Return a release of the weights of one of torchvision's networks, not yet downloaded.

    Raises:
        ConfigError: There is none of that name.
    """
    from torchvision import models

    try:
        releases = models.get_model_weights(name)
    except ValueError:
        problem = f"torchvision has no weights of {name}"
        raise ConfigError(FIELD, weights, problem, "give a file, or leave them out") from None
    known = {release.name: release for release in releases}
    if weights not in known:
        remedy = f"use one of {', '.join(known)}" if known else "give a file, or leave them out"
        raise ConfigError(FIELD, weights, f"no weights of {name}", remedy)
    return known[weights]


def _release(config: Model) -> Mapping[str, Any]:
    """Return the tensors of a release, from torch's hub cache or the network."""
    assert isinstance(config, TorchvisionModel)
    assert config.weights is not None
    release = torchvision_release(config.name, config.weights)
    try:
        return cast("Mapping[str, Any]", release.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        problem = f"they are not in torch's hub cache and cannot be downloaded ({first_line(error)})"
        raise ConfigError(
            FIELD, config.weights, problem, "check the network, or give a file of them"
        ) from error
