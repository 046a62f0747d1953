"""The one-step lookahead θ̂(g), and how a gradient at θ̂ is pulled back through it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from l2rw_ray.errors import InputError
from l2rw_ray.meta.evaluation.losses import Parameters, trained_parameters
from l2rw_ray.meta.update_rules import UpdateRule, update_rule

LookaheadName = Literal["zero", "sgd", "optimizer"]


class Lookahead(Protocol):
    """What the parameters become when the train batch's weighted gradient is g.

    Attributes:
        moves: Whether θ̂(0) differs from θ, so that the meta loss is not evaluated at θ.
    """

    moves: bool

    def stepped(self, parameters: Parameters, gradients: Parameters) -> dict[str, Tensor]:
        """Compute θ̂(g), differentiable in g."""

    def pull_back(
        self, parameters: Parameters, gradients: Parameters, meta_gradient: Parameters
    ) -> dict[str, Tensor]:
        """Compute D = −(∂θ̂/∂g)ᵀ ∇L_meta, by which u_i = ⟨D, ∇ℓ_i⟩."""


class ZeroLookahead:
    """The paper's: plain SGD at ε = 0, so θ̂ = θ and D = ∇L_meta(θ).

    The learning rate is left out; it cancels when weights are normalised.
    """

    moves = False

    def stepped(self, parameters: Parameters, gradients: Parameters) -> dict[str, Tensor]:
        """Compute θ − g."""
        return {name: value - gradients[name] for name, value in parameters.items()}

    def pull_back(
        self, parameters: Parameters, gradients: Parameters, meta_gradient: Parameters
    ) -> dict[str, Tensor]:
        """Return ∇L_meta itself."""
        return dict(meta_gradient)


class SgdLookahead:
    """Plain SGD at the optimiser's learning rate, whatever else that optimiser does: θ̂ = θ − α g.

    Args:
        optimizers: Any whose parameter groups have a learning rate; their state is not looked at.
        module: The network whose parameters it steps on.
    """

    moves = True  # not at g = 0, but D has the learning rate in it and is no mere meta gradient

    def __init__(self, optimizers: Sequence[Optimizer], module: nn.Module) -> None:
        self._optimizers, self._module = optimizers, module
        check_not_left_out(optimizers, module)

    def stepped(self, parameters: Parameters, gradients: Parameters) -> dict[str, Tensor]:
        """Compute θ − α g."""
        rates = self._rates()
        return {name: value - rates[name] * gradients[name] for name, value in parameters.items()}

    @torch.no_grad()
    def pull_back(
        self, parameters: Parameters, gradients: Parameters, meta_gradient: Parameters
    ) -> dict[str, Tensor]:
        """Compute α ∇L_meta."""
        rates = self._rates()
        return {name: rates[name] * value for name, value in meta_gradient.items()}

    def _rates(self) -> dict[str, float]:
        """Return the present learning rates by name: schedulers change them."""
        groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
        rates = {id(p): float(group["lr"]) for group in groups for p in group["params"]}
        named = trained_parameters(self._module).items()
        return {name: rates[id(parameter)] for name, parameter in named}


class OptimizerLookahead:
    """The step that the training's own optimiser would make, with its momentum and its decay.

    Args:
        optimizers: SGD, Adam or AdamW; their state is read, never written.
        module: The network whose parameters they step on.

    Raises:
        InputError: An optimiser has no rule, or does not step on a trainable parameter.
    """

    moves = True

    def __init__(self, optimizers: Sequence[Optimizer], module: nn.Module) -> None:
        self._rules, self._module = (
            [(own := unwrapped(each), update_rule(own)) for each in optimizers],
            module,
        )
        check_not_left_out(optimizers, module)

    def stepped(self, parameters: Parameters, gradients: Parameters) -> dict[str, Tensor]:
        """Compute the parameters after one optimiser step with gradient g."""
        return {
            name: rule.stepped(parameters[name], gradients[name], state, group)
            for name, rule, state, group in self._steps(parameters)
        }

    @torch.no_grad()
    def pull_back(
        self, parameters: Parameters, gradients: Parameters, meta_gradient: Parameters
    ) -> dict[str, Tensor]:
        """Scale the meta gradient elementwise by the update's derivative."""
        return {
            name: -meta_gradient[name] * rule.slope(parameters[name], gradients[name], state, group)
            for name, rule, state, group in self._steps(meta_gradient)
        }

    def _steps(
        self, names: Iterable[str]
    ) -> Iterator[tuple[str, UpdateRule, dict[str, Any], dict[str, Any]]]:
        """Iterate over parameters with their rule, state and group.

        The groups are the present ones: `load_state_dict` replaces them, schedulers change them.
        """
        found = {
            id(p): (rule, optimizer.state.get(p, {}), group)
            for optimizer, rule in self._rules
            for group in optimizer.param_groups
            for p in group["params"]
        }
        owned = dict(self._module.named_parameters())
        for name in names:
            yield name, *found[id(owned[name])]


_WRAPPERS = ("accelerate.", "lightning.", "pytorch_lightning.")
"""Packages whose optimisers pass everything on to one of torch's, which they hold as `optimizer`."""


def unwrapped(optimizer: Optimizer) -> Optimizer:
    """Return the optimiser inside one that Accelerate or Lightning has wrapped; any other as it is."""
    own = getattr(optimizer, "optimizer", None)
    names = {kind.__module__ for kind in type(optimizer).__mro__}
    is_wrapper = isinstance(own, Optimizer) and any(name.startswith(_WRAPPERS) for name in names)
    return own if is_wrapper and own is not None else optimizer


def each_optimizer(optimizer: Optimizer | Sequence[Optimizer]) -> tuple[Optimizer, ...]:
    """Return the optimisers of a model's parameters, of which there may be one, or one that holds `parts`.

    Raises:
        InputError: One is no optimiser that steps on gradients.
    """
    several = getattr(optimizer, "parts", optimizer)
    found = tuple(several) if isinstance(several, list | tuple) else (several,)
    for each in found:
        if not isinstance(each, Optimizer):
            raise InputError("optimizer", type(each).__name__, "no optimizer", "pass one of torch.optim")
        if isinstance(each, torch.optim.LBFGS):
            problem = "it evaluates the loss several times a step"
            raise InputError("optimizer", "LBFGS", problem, "use one that steps on gradients")
    return found


def check_steps_when_told(optimizers: Sequence[Optimizer]) -> None:
    """Check that no wrapper of an optimiser puts steps off, or unscales gradients that nobody scaled.

    Raises:
        InputError: One does: Accelerate's, where it accumulates gradients or trains in float16.
    """
    for each in optimizers:
        steps = getattr(getattr(each, "gradient_state", None), "num_steps", 1)
        if steps > 1:
            problem, remedy = (
                f"it steps once in {steps} calls",
                "call score, backward and step yourself",
            )
            raise InputError("optimizer", type(each).__name__, problem, remedy)
        if getattr(each, "scaler", None) is not None:
            problem = "it wants gradients that its scaler has scaled"
            remedy = "call score, backward(scaler=…) and step yourself"
            raise InputError("optimizer", type(each).__name__, problem, remedy)


def check_not_left_out(optimizers: Sequence[Optimizer], module: nn.Module) -> None:
    """Check that some optimiser steps on every trainable parameter of a module.

    A gradient that no optimiser takes would pile up, and enter the norm that the others are clipped by.

    Raises:
        InputError: One is in none, or in two.
    """
    owned = Counter(id(p) for each in optimizers for group in each.param_groups for p in group["params"])
    for name, parameter in module.named_parameters():
        if owned[id(parameter)] > 1:
            problem, remedy = f"{name} would be stepped on twice", "give each parameter to one optimizer"
            raise InputError("optimizer", f"{len(optimizers)} optimizers", problem, remedy)
        if parameter.requires_grad and id(parameter) not in owned:
            remedy = "give it all trainable parameters, or freeze this one"
            names = " and ".join(type(each).__name__ for each in optimizers)
            raise InputError("optimizer", names, f"{name} is not in it", remedy)


def lookahead_named(
    name: str,
    optimizer: Optimizer | Sequence[Optimizer] | None,
    module: nn.Module,
    *,
    at_zero: bool = True,
) -> Lookahead:
    """Return the lookahead of that name.

    Args:
        name: `zero`, `sgd` or `optimizer`.
        optimizer: The training's own; or several, each of a part of the parameters.
        module: The network it steps on.
        at_zero: Whether weights are differentiated at ε = 0.

    Raises:
        InputError: It is unknown, or wants an optimiser that is not given or has no rule, or ε is not
            zero where it must be.
    """
    match name:
        case "zero" if not at_zero:
            problem = "it has no learning rate to step from ε0 ≠ 0 with"
            raise InputError("lookahead", name, problem, "use 'optimizer' or 'sgd'")
        case "zero":
            return ZeroLookahead()
        case "sgd" | "optimizer" if optimizer is None:
            raise InputError("lookahead", name, "no optimizer is given", "pass optimizer=, or use 'zero'")
        case "sgd":
            assert optimizer is not None
            return SgdLookahead(each_optimizer(optimizer), module)
        case "optimizer":
            assert optimizer is not None
            return OptimizerLookahead(each_optimizer(optimizer), module)
    raise InputError("lookahead", name, "unknown", "use zero, sgd or optimizer")
