"""Build the optimiser of a trial's `optim` section."""

import inspect

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from l2rw_ray.config.optim import AdamConfig, AdamWConfig, CustomOptim, Optim, SgdConfig
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import load, users_code
from l2rw_ray.training.optim.parameter_groups import parameter_groups

_FIELD = "optim.name"


def build_optimizer(config: Optim, model: nn.Module) -> Optimizer:
    """Return an optimiser over the parameters of the model that are trained, and freeze the others.

    Raises:
        InputError: A pattern matches no parameter, all are frozen, or custom code raises.
    """
    groups, lr, weight_decay = parameter_groups(config, model), config.lr, config.weight_decay
    match config:
        case SgdConfig():
            return SGD(
                groups,
                lr,
                momentum=config.momentum,
                dampening=config.dampening,
                weight_decay=weight_decay,
                nesterov=config.nesterov,
            )
        case AdamConfig():
            return Adam(groups, lr, betas=config.betas, eps=config.eps, weight_decay=weight_decay)
        case AdamWConfig():
            return AdamW(groups, lr, betas=config.betas, eps=config.eps, weight_decay=weight_decay)
        case CustomOptim():
            return _custom(config, groups)


def _custom(config: CustomOptim, groups: list[dict[str, object]]) -> Optimizer:
    kind = load(config.name, "trial.optim.name")
    given = {"lr": config.lr, "weight_decay": config.weight_decay}
    if not _takes(kind, "weight_decay"):
        if config.weight_decay or any(group.get("weight_decay") for group in groups):
            problem = f"{config.name} takes none"
            raise ConfigError("optim.weight_decay", config.weight_decay, problem, "leave it out")
        given.pop("weight_decay")
        groups = [
            {name: value for name, value in group.items() if name != "weight_decay"} for group in groups
        ]
    with users_code(config.name, _FIELD):
        optimizer = kind(groups, **given, **config.options)
    if not isinstance(optimizer, Optimizer):
        problem = f"returned a {type(optimizer).__name__}"
        raise ConfigError(_FIELD, config.name, problem, "return a torch.optim.Optimizer")
    return optimizer


def _takes(kind: object, argument: str) -> bool:
    """Return whether an optimiser has an argument, or takes any."""
    try:
        parameters = inspect.signature(kind).parameters  # type: ignore[arg-type]  # no class raises TypeError
    except (TypeError, ValueError):
        return True
    return argument in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
