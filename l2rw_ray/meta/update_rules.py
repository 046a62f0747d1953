"""One step of torch's optimisers as a function of the gradient, and its derivative.

Each rule repeats the arithmetic of its optimiser for one tensor, out of place. The derivative of the
new parameters with respect to the gradient is diagonal for all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from l2rw_ray.errors import InputError

State = Mapping[str, Any]
Group = Mapping[str, Any]


@dataclass(frozen=True)
class UpdateRule:
    """The update of one kind of optimiser.

    Attributes:
        stepped: (parameter, gradient, state, group) to the new parameter, differentiable in the
            gradient.
        slope: The same arguments to ∂ stepped / ∂ gradient, elementwise: a number or a tensor.
    """

    stepped: Callable[[Tensor, Tensor, State, Group], Tensor]
    slope: Callable[[Tensor, Tensor, State, Group], Tensor | float]


def _sgd_stepped(parameter: Tensor, gradient: Tensor, state: State, group: Group) -> Tensor:
    change = _with_decay(parameter, gradient, group)
    if group["momentum"]:
        velocity = state.get("momentum_buffer")
        if velocity is None:
            velocity = change
        else:
            velocity = group["momentum"] * velocity + (1 - group["dampening"]) * change
        change = change + group["momentum"] * velocity if group["nesterov"] else velocity
    new: Tensor = parameter - float(group["lr"]) * change
    return new


def _sgd_slope(parameter: Tensor, gradient: Tensor, state: State, group: Group) -> float:
    share = 1.0
    if group["momentum"]:
        share = 1.0 if state.get("momentum_buffer") is None else 1.0 - group["dampening"]
        share = 1.0 + group["momentum"] * share if group["nesterov"] else share
    return -float(group["lr"]) * share * _sign(group)


def _adam_stepped(parameter: Tensor, gradient: Tensor, state: State, group: Group) -> Tensor:
    parameter, _, first, second, corrections = _adam_moments(parameter, gradient, state, group)
    root = torch.where(second > 0, second, torch.ones_like(second)).sqrt() * (second > 0)
    denominator = root / corrections[1] ** 0.5 + group["eps"]
    new: Tensor = parameter - float(group["lr"]) / corrections[0] * first / denominator
    return new


def _adam_slope(parameter: Tensor, gradient: Tensor, state: State, group: Group) -> Tensor:
    _, change, first, second, corrections = _adam_moments(parameter, gradient, state, group)
    beta1, beta2 = group["betas"]
    root = (second / corrections[1]).sqrt()
    denominator = root + group["eps"]
    bend = first / denominator.square() * (1 - beta2) * change / (corrections[1] * root)
    bend = torch.where(root > 0, bend, torch.zeros_like(bend))
    slope: Tensor = (1 - beta1) / denominator - bend
    return -float(group["lr"]) / corrections[0] * slope * _sign(group)


def _adam_moments(
    parameter: Tensor, gradient: Tensor, state: State, group: Group
) -> tuple[Tensor, Tensor, Tensor, Tensor, tuple[float, float]]:
    """Return the decayed parameter, the whole gradient, both moments, and their bias corrections."""
    beta1, beta2 = group["betas"]
    if group.get("decoupled_weight_decay"):
        parameter = parameter * (1 - float(group["lr"]) * group["weight_decay"])
        change = gradient * _sign(group)
    else:
        change = _with_decay(parameter, gradient, group)
    zero = torch.zeros_like(parameter)
    first = beta1 * state.get("exp_avg", zero) + (1 - beta1) * change
    second = beta2 * state.get("exp_avg_sq", zero) + (1 - beta2) * change.square()
    count = float(state.get("step", 0)) + 1
    return parameter, change, first, second, (1 - beta1**count, 1 - beta2**count)


def _with_decay(parameter: Tensor, gradient: Tensor, group: Group) -> Tensor:
    change = gradient * _sign(group)
    return change + group["weight_decay"] * parameter if group["weight_decay"] else change


def _sign(group: Group) -> int:
    return -1 if group["maximize"] else 1


_SGD = UpdateRule(_sgd_stepped, _sgd_slope)
_ADAM = UpdateRule(_adam_stepped, _adam_slope)
_RULES: dict[type[Optimizer], UpdateRule] = {SGD: _SGD, Adam: _ADAM, AdamW: _ADAM}


def update_rule(optimizer: Optimizer) -> UpdateRule:
    """Return the rule of an optimiser.

    Raises:
        InputError: The optimiser, or one of its options, has none.
    """
    known = ", ".join(kind.__name__ for kind in _RULES)
    remedy = f"use {known} without amsgrad, or lookahead='zero'"
    if type(optimizer) not in _RULES:
        raise InputError("optimizer", type(optimizer).__name__, "no lookahead rule", remedy)
    if any(group.get("amsgrad") for group in optimizer.param_groups):
        raise InputError("optimizer", "amsgrad=True", "no lookahead rule", remedy)
    return _RULES[type(optimizer)]
