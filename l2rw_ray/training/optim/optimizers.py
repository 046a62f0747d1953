"""Build the optimiser of a trial's `optim` section."""

import inspect

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from l2rw_ray.config.optim import (
    AdamConfig,
    AdamWConfig,
    CustomOptim,
    FurtherAdam,
    FurtherAdamW,
    FurtherCustom,
    FurtherOptim,
    FurtherSgd,
    Optim,
    SgdConfig,
)
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import load, users_code
from l2rw_ray.training.optim.container import OptimizersContainer
from l2rw_ray.training.optim.parameter_groups import additional_parameters, parameter_groups, split

_FIELD = "optim.name"


def build_optimizer(config: Optim, model: nn.Module) -> Optimizer:
    """Return an optimiser over the parameters of the model that are trained, and freeze the others.

    Returns:
        The optimiser of the section; a `OptimizersContainer` of it and the further ones where there are any.

    Raises:
        InputError: A pattern matches no parameter, all are frozen, or custom code raises.
    """
    members, rest = additional_parameters(config.further, model)
    own = _built(config, parameter_groups(config, rest, model), _FIELD)
    if not config.further:
        return own
    parts = [
        _built(each, split(parameters, each.lr, each.weight_decay, each), f"optim.further[{place}].name")
        for place, (each, parameters) in enumerate(zip(config.further, members, strict=True))
    ]
    return OptimizersContainer([own, *parts])


def _built(config: Optim | FurtherOptim, groups: list[dict[str, object]], field: str) -> Optimizer:
    lr, weight_decay = config.lr, config.weight_decay
    match config:
        case SgdConfig() | FurtherSgd():
            return SGD(
                groups,
                lr,
                momentum=config.momentum,
                dampening=config.dampening,
                weight_decay=weight_decay,
                nesterov=config.nesterov,
            )
        case AdamConfig() | FurtherAdam():
            return Adam(groups, lr, betas=config.betas, eps=config.eps, weight_decay=weight_decay)
        case AdamWConfig() | FurtherAdamW():
            return AdamW(groups, lr, betas=config.betas, eps=config.eps, weight_decay=weight_decay)
        case CustomOptim() | FurtherCustom():
            return _custom(config, groups, field)


def _custom(config: CustomOptim | FurtherCustom, groups: list[dict[str, object]], field: str) -> Optimizer:
    kind = load(config.name, f"trial.{field}")
    given = {"lr": config.lr, "weight_decay": config.weight_decay}
    if not _takes(kind, "weight_decay"):
        if config.weight_decay or any(group.get("weight_decay") for group in groups):
            problem = f"{config.name} takes none"
            raise ConfigError(
                field.replace("name", "weight_decay"), config.weight_decay, problem, "leave it out"
            )
        given.pop("weight_decay")
        groups = [
            {name: value for name, value in group.items() if name != "weight_decay"} for group in groups
        ]
    with users_code(config.name, field):
        optimizer = kind(groups, **given, **config.options)
    if not isinstance(optimizer, Optimizer):
        problem = f"returned a {type(optimizer).__name__}"
        raise ConfigError(field, config.name, problem, "return a torch.optim.Optimizer")
    return optimizer


def _takes(kind: object, argument: str) -> bool:
    """Return whether an optimiser has an argument, or takes any."""
    try:
        parameters = inspect.signature(kind).parameters  # type: ignore[arg-type]  # no class raises TypeError
    except (TypeError, ValueError):
        return True
    return argument in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
