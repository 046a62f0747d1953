"""Assign the parameters of a model to groups, and freeze some."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from torch import nn

from l2rw_ray.config.optim import FurtherOptim, Optim, ParameterGroup
from l2rw_ray.errors import ConfigError

_MAX_NAMES = 6


Named = dict[str, nn.Parameter]


def additional_parameters(further: Sequence[FurtherOptim], model: nn.Module) -> tuple[list[Named], Named]:
    """Return the parameters of each further optimiser, and the rest.

    Raises:
        ConfigError: A pattern matches no parameter that none before it did.
    """
    members: list[Named] = [{} for _ in further]
    rest: Named = {}
    for name, parameter in model.named_parameters():
        fitting = (
            found
            for each, found in zip(further, members, strict=True)
            if fnmatchcase(name, each.match) and each.dimensions in (None, parameter.ndim)
        )
        next(fitting, rest)[name] = parameter
    for place, (each, found) in enumerate(zip(further, members, strict=True)):
        if not found:
            what = "" if each.dimensions is None else f" of {each.dimensions} dimensions"
            problem = f"it matches no parameter{what} that an earlier optimiser does not"
            raise ConfigError(f"optim.further[{place}].match", each.match, problem, _names(model))
    return members, rest


def parameter_groups(config: Optim, parameters: Named, model: nn.Module) -> list[dict[str, object]]:
    """Return the groups of the section's own optimiser, the first of them at its own rate and perhaps empty.

    Args:
        config: The `optim` section.
        parameters: Those that no further optimiser trains. Frozen ones do not require gradients afterwards.
        model: The model, to name its parameters where a pattern fails.

    Raises:
        ConfigError: A pattern matches no parameter that none before it did, or nothing is left to train.
    """
    members = _shared_out(config.groups, parameters)
    for place, group in enumerate(config.groups):
        if not members[place]:
            before = "an earlier group does" if not config.further else "an earlier group or optimiser does"
            problem = f"it matches no parameter that {before} not"
            raise ConfigError(f"optim.groups[{place}].match", group.match, problem, _names(model))
        if group.frozen:
            for parameter in members[place].values():
                parameter.requires_grad_(False)
    found = split(members[len(config.groups)], config.lr, config.weight_decay, config)
    for place, group in enumerate(config.groups):
        if not group.frozen:
            own = config.weight_decay if group.weight_decay is None else group.weight_decay
            found += split(members[place], config.lr * group.lr_factor, own, config)
    if not any(each["params"] for each in found):
        if config.groups:
            problem, remedy = "all parameters are frozen", "leave some out"
            raise ConfigError("optim.groups", len(config.groups), problem, remedy)
        if config.further:
            problem = f"nothing is left for the section's own {config.name!r}"
            raise ConfigError("optim.further", len(config.further), problem, "match fewer parameters")
    return found


def split(
    parameters: Named, lr: float, weight_decay: float, config: Optim | FurtherOptim
) -> list[dict[str, object]]:
    """Return a group, or two where biases and normalisation layers do not decay."""
    group: dict[str, object] = {"lr": lr, "weight_decay": weight_decay}
    every = list(parameters.values())
    if config.decay_biases_and_norms or not weight_decay:
        return [{"params": every, **group}]
    decaying = [each for each in every if each.ndim > 1]
    others = [each for each in every if each.ndim <= 1]
    return [{"params": decaying, **group}, {"params": others, **group, "weight_decay": 0.0}]


def _shared_out(groups: Iterable[ParameterGroup], parameters: Named) -> list[Named]:
    """Return the parameters of each group, then the rest."""
    patterns = [group.match for group in groups]
    members: list[Named] = [{} for _ in range(len(patterns) + 1)]
    for name, parameter in parameters.items():
        matching = (place for place, pattern in enumerate(patterns) if fnmatchcase(name, pattern))
        members[next(matching, len(patterns))][name] = parameter
    return members


def _names(model: nn.Module) -> str:
    """Return the first names of a model's parameters, as a remedy."""
    names = [name for name, _ in model.named_parameters()]
    return f"the model has {', '.join(names[:_MAX_NAMES])}" + (", …" if len(names) > _MAX_NAMES else "")
