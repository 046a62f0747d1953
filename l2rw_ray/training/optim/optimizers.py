"""Build the optimiser of a trial's `optim` section."""

import inspect
from typing import Any

import torch
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
from l2rw_ray.meta.lookahead import each_optimizer
from l2rw_ray.training.optim.container import OptimizersContainer
from l2rw_ray.training.optim.parameter_groups import additional_parameters, parameter_groups, split

_FIELD = "optim.name"
_MUON = "torch.optim:Muon"


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


def check_optimizers(config: Optim, optimizer: Optimizer) -> None:
    """Check that custom optimisers can make a step, on gradients of zero; the network is discarded.

    Args:
        config: The `optim` section.
        optimizer: What was built of it.

    Raises:
        InputError: One raises.
    """
    parts = each_optimizer(optimizer)
    fields = [_FIELD, *(f"optim.further[{place}].name" for place in range(len(config.further)))]
    for section, part, field in zip((config, *config.further), parts, fields, strict=True):
        if not isinstance(section, CustomOptim | FurtherCustom):
            continue
        for group in part.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        with users_code(section.name, field):
            part.step()


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
        section, problem = field.removesuffix(".name"), f"{config.name} takes none"
        decays = {f"{section}.weight_decay": config.weight_decay} | {
            f"{section}.groups[{place}].weight_decay": group.weight_decay
            for place, group in enumerate(getattr(config, "groups", ()))
        }
        for path, decay in decays.items():
            if decay:
                raise ConfigError(path, decay, problem, "leave it out")
        given.pop("weight_decay")
        groups = [
            {name: value for name, value in group.items() if name != "weight_decay"} for group in groups
        ]
    if config.name == _MUON and any(each.ndim != 2 for group in groups for each in _members(group)):
        is_further = isinstance(config, FurtherCustom)
        remedy = "set its dimensions: 2" if is_further else "name it in optim.further with dimensions: 2"
        raise ConfigError(field, config.name, "it trains matrices alone", remedy)
    with users_code(config.name, field):
        optimizer = kind(groups, **given, **config.options)
    if not isinstance(optimizer, Optimizer):
        problem = f"returned a {type(optimizer).__name__}"
        raise ConfigError(field, config.name, problem, "return a torch.optim.Optimizer")
    return optimizer


def _members(group: dict[str, Any]) -> list[nn.Parameter]:
    return list(group["params"])


def _takes(kind: object, argument: str) -> bool:
    """Return whether an optimiser has an argument, or takes any."""
    try:
        parameters = inspect.signature(kind).parameters  # type: ignore[arg-type]  # no class raises TypeError
    except (TypeError, ValueError):
        return True
    return argument in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
