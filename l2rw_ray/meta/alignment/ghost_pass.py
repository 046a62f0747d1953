"""One forward and one backward that record, at every layer, the parts of its example gradients.

Layers with trainable parameters are replaced, while the pass lasts, by calls that keep their parameters
out of autograd: what flows back is gradients with respect to activations only, and each layer turns its
own into its examples' gradients.

Shape suffixes: N examples of the pass, B train examples first and meta examples after them.
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.alignment.interface import REMEDY
from l2rw_ray.meta.alignment.layers import (
    ExampleGradients,
    FactoredLinear,
    FormingBudget,
    LayerCall,
    layer_rule,
    ruled_types,
)
from l2rw_ray.meta.batches import Batch, batch_device, batch_size, tensors_of
from l2rw_ray.meta.forward import Forward
from l2rw_ray.meta.replaced import replaced_forwards, strange_parameter

_COUPLING = (nn.modules.batchnorm._BatchNorm,)


class _Hook(torch.autograd.Function):
    """Identity to autograd, but for what `call` does with the gradient that comes back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, run: "_Recorded") -> Tensor:
        ctx.run = run
        return run.forward(x.detach())  # what it keeps must not keep the graph below

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        return ctx.run.backward(gradient, wanted=ctx.needs_input_grad[0]), None, None


class _Recorded:
    """A layer's call within a pass, and where its gradients go."""

    def __init__(self, name: str, call: LayerCall, ghost: "GhostPass") -> None:
        self._name, self._ghost = name, ghost
        self._call: LayerCall | None = call

    def forward(self, x: Tensor) -> Tensor:
        assert self._call is not None
        self._ghost.budget.note(self._call, x, self._call.could_form(x))
        return self._call.forward(x)

    def backward(self, gradient: Tensor, *, wanted: bool) -> Tensor | None:
        with torch.autocast(gradient.device.type, enabled=False):
            return self._backward(gradient, wanted=wanted)

    def _backward(self, gradient: Tensor, *, wanted: bool) -> Tensor | None:
        ghost = self._ghost
        if len(gradient) != ghost.size:
            problem = f"its output has {len(gradient)} rows for {ghost.size} examples"
            raise UnsupportedModelError("model", self._name, problem, REMEDY)
        call, self._call = self._call, None  # what it has kept goes with it
        assert call is not None, "a pass goes back once"
        below, found = call.backward(gradient, wanted=wanted)
        ghost.found.extend(found)
        return below


@dataclass(frozen=True)
class TrainedLayers:
    """The trained parts of a network, looked up once instead of at every step.

    Attributes:
        layers: Those with trainable parameters of their own, by name.
        coupling: Those that may couple examples, by name.
        parameters: The trainable ones by name.
        everything: Identities of all parameters, and whether they were trained.
    """

    layers: tuple[tuple[str, nn.Module], ...]
    coupling: tuple[tuple[str, nn.Module], ...]
    parameters: dict[str, nn.Parameter]
    everything: tuple[tuple[int, bool], ...]

    @classmethod
    def of(cls, module: nn.Module) -> Self:
        """Look up the trained parts of a network."""
        named = tuple(module.named_modules())
        return cls(
            tuple(
                (name, layer)
                for name, layer in named
                if any(p.requires_grad for p in layer.parameters(recurse=False))
            ),
            tuple((name, layer) for name, layer in named if isinstance(layer, _COUPLING)),
            {name: p for name, p in module.named_parameters() if p.requires_grad},
            _identities(module),
        )

    def is_of(self, module: nn.Module) -> bool:
        """Return whether it is current: no parameter was added, removed, frozen or unfrozen."""
        return self.everything == _identities(module)

    def check(self) -> None:
        """Check that every layer has a gradient rule.

        Raises:
            UnsupportedModelError: There is one; the message names it.
        """
        for name, layer in (*self.layers, *self.coupling):
            if layer_problem(layer):
                raise refusal(name, layer)


def _identities(module: nn.Module) -> tuple[tuple[int, bool], ...]:
    return tuple((id(parameter), parameter.requires_grad) for parameter in module.parameters())


class GhostPass:
    """A pass over a train batch and, where there is one, the meta batch behind it.

    Args:
        forward: Evaluates losses.
        trained: What of its network is trained.
        train: The train batch, B examples.
        joined: The same with the meta batch behind it, N examples; None when the direction comes from
            elsewhere.

    Attributes:
        size: N.
        found: Gradients of the train examples by parameter, after `run`; a parameter that is used
            twice is there twice.
        budget: Of the memory for gradients by example.
    """

    def __init__(
        self, forward: Forward, trained: TrainedLayers, train: Batch, joined: Batch | None = None
    ) -> None:
        self._forward, self._trained = forward, trained
        self._train, self._train_size = train, batch_size(train)
        self._batch = train if joined is None else joined
        self.size = batch_size(self._batch)
        self.found: list[ExampleGradients] = []
        self.budget = FormingBudget()

    def run(self) -> Tensor:
        """Return losses [N], detached, and fill `found`."""
        self._trained.check()
        anchor = torch.zeros((), device=batch_device(self._batch), requires_grad=True)
        calls = {layer: self._instead_of(name, layer, anchor) for name, layer in self._trained.layers}
        # they last until the backward is over: an activation checkpoint calls layers again
        with torch.enable_grad(), replaced_forwards(calls):
            losses_N = self._losses_of()
            self._differentiate(losses_N.sum(), anchor)
        for part in self.found:
            if isinstance(part, FactoredLinear):
                part.share(next(tensors_of(self._train)), next(tensors_of(self._batch)))
        return losses_N.detach()

    def _losses_of(self) -> Tensor:
        return self._forward.alone().training(self._batch)

    def _instead_of(self, name: str, layer: nn.Module, anchor: Tensor) -> Any:
        rule = layer_rule(layer)
        assert rule is not None, "it was checked"

        def call(input: Tensor) -> Tensor:  # the name that layers give their argument
            made = rule(layer, self._train_size, self.budget)
            output: Tensor = _Hook.apply(made.prepare(input), anchor, _Recorded(name, made, self))
            return output

        return call

    def _differentiate(self, total: Tensor, anchor: Tensor) -> None:
        """Send gradients back through all layers; parameters must see none of them."""
        parameters = self._trained.parameters
        wanted = (anchor, *parameters.values())
        if not total.requires_grad:
            return
        stray = torch.autograd.grad(total, wanted, allow_unused=True)[1:]
        for name, gradient in zip(parameters, stray, strict=True):
            if gradient is not None:
                problem = "it is used outside the forward of the layer that holds it"
                raise UnsupportedModelError("model", name, problem, REMEDY)


def layer_problem(layer: nn.Module) -> str | None:
    """Return why a layer has no gradient rule; None if it has one."""
    rule = layer_rule(layer)
    if rule is not None:
        strange = strange_parameter(layer)
        if strange is not None:
            return f"its {strange} is no plain weight or bias that it holds itself"
        return rule.refusal(layer)
    known = ", ".join(sorted(kind.__name__ for kind in ruled_types()))
    return f"{type(layer).__name__} has no gradient rule by example (those of {known} have)"


def refusal(name: str, layer: nn.Module) -> UnsupportedModelError:
    """Return the error that names a layer and what to use instead."""
    return UnsupportedModelError("model", name or type(layer).__name__, layer_problem(layer) or "", REMEDY)
