"""BatchNorm that keeps the running statistics of trained weights."""

from functools import partial

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from l2rw_ray.errors import ConfigError


def freeze_batch_norm(network: nn.Module, name: str) -> None:
    """Make every BatchNorm normalise by its running statistics in train mode too, and leave them unchanged.

    Examples are then independent of each other. Scales and shifts can be trained as before.

    Args:
        network: The network.
        name: How the study names it.

    Raises:
        ConfigError: It has no BatchNorm.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    if not layers:
        problem = f"{name} has no BatchNorm"
        raise ConfigError("model.freeze_batch_norm", True, problem, "leave it out")
    for layer in layers:
        layer.train = partial(_stay_in_eval_mode, layer)  # type: ignore[assignment,method-assign]
        layer.train()


def _stay_in_eval_mode(layer: nn.Module, mode: bool = True) -> nn.Module:
    layer.training = False
    return layer
