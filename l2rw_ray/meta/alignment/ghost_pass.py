"""One forward and one backward that record, wherever parameters are used, the parts of example gradients.

While the pass lasts, modules hold expressions instead of their trainable parameters, and layers with a
rule of their own are called by that: parameters stay out of autograd, what flows back is gradients with
respect to activations only, and each use turns its own into its examples' gradients.

Shape suffixes: N examples of the pass, B train examples first and meta examples after them.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.alignment.interface import REMEDY
from l2rw_ray.meta.alignment.layers import (
    FactoredLinear,
    FormingBudget,
    LayerCall,
    Memory,
    ParameterExpression,
    Place,
    RecordedGradients,
    Recording,
    layer_rule,
    leaves_of,
    recorded_call,
)
from l2rw_ray.meta.alignment.row_owners import RowOwners
from l2rw_ray.meta.evaluation.batches import Batch, batch_device, batch_size
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.losses import trained_parameters
from l2rw_ray.meta.evaluation.replaced import replaced_forwards, unexpected_parameter
from l2rw_ray.trees import tensors_of

_COUPLING = (nn.modules.batchnorm._BatchNorm,)


@dataclass
class TrainedLayers:
    """The trained parts of a network, looked up once instead of at every step.

    Attributes:
        layers: Those with trainable parameters of their own, by name.
        coupling: Those that may couple examples, by name.
        parameters: The trainable ones by name.
        places: Where modules hold those.
        everything: Identities of all parameters, and whether they were trained.
        is_loss_examined: Whether the loss is known to have no parameters of its own.
    """

    layers: tuple[tuple[str, nn.Module], ...]
    coupling: tuple[tuple[str, nn.Module], ...]
    parameters: dict[str, nn.Parameter]
    places: tuple[Place, ...]
    everything: tuple[tuple[int, bool], ...]
    is_loss_examined: bool = False

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
            trained_parameters(module),
            tuple(
                (layer, key, p)
                for _, layer in named
                for key, p in layer._parameters.items()
                if p is not None and p.requires_grad
            ),
            _identities(module),
        )

    def is_of(self, module: nn.Module) -> bool:
        """Return whether it is current: no parameter was added, removed, frozen or unfrozen."""
        return self.everything == _identities(module)

    def check(self) -> dict[nn.Module, type[LayerCall]]:
        """Check that no layer is known to have no gradient rule, and return the rules of those that have one.

        Raises:
            UnsupportedModelError: There is one; the message names it.
        """
        found = {}
        for name, layer in (*self.layers, *self.coupling):
            rule = layer_rule(layer)
            if rule is not None and unexpected_parameter(layer) is None:
                problem, found[layer] = rule.refusal(layer), rule
            else:
                problem = _problem_without_rule(layer)
            if problem:
                raise UnsupportedModelError("model", name or type(layer).__name__, problem, REMEDY)
        return {layer: found[layer] for _, layer in self.layers if layer in found}


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
        memory: What formed example gradients may take.

    Attributes:
        size: N.
        found: Gradients of the train examples, after `run`.
        budget: Of the memory for gradients by example.
        row_layout: Where the arguments of each call have rows of examples, in order, after `run`.
    """

    def __init__(
        self,
        forward: Forward,
        trained: TrainedLayers,
        train: Batch,
        joined: Batch | None = None,
        *,
        memory: Memory = "auto",
    ) -> None:
        self._forward, self._trained = forward, trained
        self._train, self._train_size = train, batch_size(train)
        self._batch = train if joined is None else joined
        self._is_joined = joined is not None
        self.size = batch_size(self._batch)
        self.found = RecordedGradients(self._train_size)
        self.budget = FormingBudget(memory)
        self.row_layout: list[Hashable] = []

    def run(self) -> Tensor:
        """Return losses [N], detached, and fill `found`."""
        if not self.size:  # a rank's share, which few layers take
            return next(iter(self._trained.parameters.values())).new_empty(0)
        trained = self._trained
        rules = trained.check()
        anchor = torch.zeros((), device=batch_device(self._batch), requires_grad=True)
        owners = RowOwners(self._batch)
        recording = Recording(self._forward.module, self.size, self._train_size, anchor, self.budget, owners)
        self.found, self.row_layout = recording.found, recording.row_layout
        calls = {layer: recorded_call(layer, rule, recording) for layer, rule in rules.items()}
        is_custom = len(rules) < len(trained.layers)
        # they last until the backward is over: an activation checkpoint calls layers again
        with (
            torch.enable_grad(),
            recording.expressed(trained.parameters, trained.places, everywhere=is_custom),
            replaced_forwards(calls),
        ):
            with owners:
                losses_N = self._losses_of()
                recording.check_order(losses_N)
            if isinstance(losses_N, ParameterExpression):
                losses_N = recording.activation(losses_N)
            self._differentiate(losses_N.sum(), recording)
        for part in self.found.parts:
            if isinstance(part, FactoredLinear):
                part.share(next(tensors_of(self._train)), next(tensors_of(self._batch)))
        return losses_N.detach()

    def _losses_of(self) -> Tensor:
        train_size = self._train_size if self._is_joined else None
        return self._forward.alone().training(self._batch, train_size=train_size)

    def _differentiate(self, total: Tensor, recording: Recording) -> None:
        """Send gradients back through all layers; parameters must see none of them."""
        if not total.requires_grad:
            return
        parameters, leaves = self._trained.parameters, recording.found.computed.leaves
        self._check_leaves(total, {id(leaf) for leaf in (recording.anchor, *leaves, *parameters.values())})
        recording.is_going_back = True
        wanted = (recording.anchor, *leaves, *parameters.values())
        try:
            stray = torch.autograd.grad(total, wanted, allow_unused=True)[1:]
        except RuntimeError as error:
            if "use_reentrant" not in str(error):
                raise
            problem, remedy = "it has a checkpoint with use_reentrant=True", "set use_reentrant=False"
            raise UnsupportedModelError(
                "model", type(self._forward.module).__name__, problem, remedy
            ) from error
        recording.is_going_back = False
        for name, gradient in zip((*parameters, *parameters), stray, strict=True):
            if gradient is not None:
                problem = "it is used in a way that no gradient rule by example sees"
                raise UnsupportedModelError("model", name, problem, REMEDY)

    def _check_leaves(self, total: Tensor, known: set[int]) -> None:
        """Check, once, that the losses have no parameter that is not the module's."""
        if self._trained.is_loss_examined:
            return
        for leaf in leaves_of([total]):
            if isinstance(leaf, nn.Parameter) and id(leaf) not in known:
                found = f"a parameter of shape {tuple(leaf.shape)}"
                remedy = f"register it in the model, or {REMEDY}"
                raise UnsupportedModelError("loss_fn", found, "it is none of the model's", remedy)
        self._trained.is_loss_examined = True


def _problem_without_rule(layer: nn.Module) -> str | None:
    """Return why a layer without a rule of its own cannot be treated by those of functions; or None."""
    if isinstance(layer, nn.RNNBase):
        return f"{type(layer).__name__} has no gradient rule by example"
    if isinstance(layer, _COUPLING) and (layer.training or layer.running_mean is None):
        return "it normalises by the statistics of the batch, which couple its examples"
    return None
