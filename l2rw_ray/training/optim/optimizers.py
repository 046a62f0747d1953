"""Build the optimiser of a trial's `optim` section."""

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from l2rw_ray.config.optim import AdamConfig, Optim, SgdConfig


def build_optimizer(config: Optim, model: nn.Module) -> Optimizer:
    """Return an optimiser over all parameters of the model."""
    parameters, lr, weight_decay = model.parameters(), config.lr, config.weight_decay
    if isinstance(config, SgdConfig):
        return SGD(
            parameters,
            lr,
            momentum=config.momentum,
            dampening=config.dampening,
            weight_decay=weight_decay,
            nesterov=config.nesterov,
        )
    kind = Adam if isinstance(config, AdamConfig) else AdamW
    return kind(parameters, lr, weight_decay=weight_decay)
