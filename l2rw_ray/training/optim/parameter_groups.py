"""Share the parameters of a model out among groups, and freeze some."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import nn

from l2rw_ray.config.optim import Optim, ParameterGroup
from l2rw_ray.errors import ConfigError

_MOST_NAMES = 6


def parameter_groups(config: Optim, model: nn.Module) -> list[dict[str, object]]:
    """Return the groups of an optimiser, the first of them at its own rate and perhaps empty.

    Args:
        config: The `optim` section.
        model: Its parameters that a frozen group matches no longer require gradients afterwards.

    Raises:
        ConfigError: A pattern matches no parameter that none before it did, or nothing is left to train.
    """
    members = _shared_out(config.groups, model)
    for place, group in enumerate(config.groups):
        if not members[place]:
            names = [name for name, _ in model.named_parameters()]
            shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
            problem = "it matches no parameter that an earlier group does not"
            raise ConfigError(f"optim.groups[{place}].match", group.match, problem, f"the model has {shown}")
        if group.frozen:
            for parameter in members[place]:
                parameter.requires_grad_(False)
    found = _split(members[len(config.groups)], config.lr, config.weight_decay, config)
    for place, group in enumerate(config.groups):
        if not group.frozen:
            own = config.weight_decay if group.weight_decay is None else group.weight_decay
            found += _split(members[place], config.lr * group.lr_factor, own, config)
    if config.groups and not any(each["params"] for each in found):
        raise ConfigError("optim.groups", len(config.groups), "all parameters are frozen", "leave some out")
    return found


def _shared_out(groups: Iterable[ParameterGroup], model: nn.Module) -> list[list[nn.Parameter]]:
    """Return the parameters of each group, then the rest."""
    patterns = [group.match for group in groups]
    members: list[list[nn.Parameter]] = [[] for _ in range(len(patterns) + 1)]
    for name, parameter in model.named_parameters():
        matching = (place for place, pattern in enumerate(patterns) if fnmatchcase(name, pattern))
        members[next(matching, len(patterns))].append(parameter)
    return members


def _split(
    parameters: list[nn.Parameter], lr: float, weight_decay: float, config: Optim
) -> list[dict[str, object]]:
    """Return a group, or two where biases and normalisation layers do not decay."""
    group: dict[str, object] = {"lr": lr, "weight_decay": weight_decay}
    if config.decay_biases_and_norms or not weight_decay:
        return [{"params": parameters, **group}]
    decaying = [each for each in parameters if each.ndim > 1]
    others = [each for each in parameters if each.ndim <= 1]
    return [{"params": decaying, **group}, {"params": others, **group, "weight_decay": 0.0}]
