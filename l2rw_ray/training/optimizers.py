"""The optimiser that a trial's `optim` section asks for."""

from torch import nn
from torch.optim import SGD, Adam, Optimizer

from l2rw_ray.config.trial import AdamConfig, Optim


def build_optimizer(config: Optim, model: nn.Module) -> Optimizer:
    """An optimiser over all parameters of the model."""
    if isinstance(config, AdamConfig):
        return Adam(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    return SGD(model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
