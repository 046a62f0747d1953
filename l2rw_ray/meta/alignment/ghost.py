"""Ghost: alignments and weighted gradient from one pass over the train batch, or over both batches.

Exact where examples do not see each other, at 1 + M/B of a plain step where all layers' example
gradients can be formed. Where none can (`layers`), another product per layer adds a third, and examples
of weight zero are left out of the weighted gradient. With another direction than the meta gradient at θ
the train batch passes alone; where that depends on the train batch's own gradient (ε0), the pass gives
that too.

Shape suffixes: B train batch of this rank, M its meta batch.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from l2rw_ray.errors import InputError, UnsupportedModelError
from l2rw_ray.meta.alignment.ghost_pass import GhostPass, TrainedLayers
from l2rw_ray.meta.alignment.interface import REMEDY
from l2rw_ray.meta.alignment.layers import Memory, RecordedGradients
from l2rw_ray.meta.alignment.registry import ESTIMATORS
from l2rw_ray.meta.direction import Direction, DirectionSource
from l2rw_ray.meta.evaluation.batches import Batch, batch_device, batch_size
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.precision import without_autocast
from l2rw_ray.meta.outer_sum import Part


@ESTIMATORS.register("ghost")
class Ghost:
    """Exact alignments for modules whose examples are independent and whose parameters have gradient rules.

    Those are rules of layers, and of functions in which parameters, or what is computed from them, meet
    activations (`layers`).

    Args:
        joins: Whether train and meta batch may pass together, where a `loss_fn` can be called on each of
            them or a `collate` joins them. Where the model looks at its batch, a forward draws random
            numbers or writes buffers, they must not: the train batch would be evaluated otherwise than by a
            plain step.
        memory: What example gradients that are formed may take: `lean`, a third of the layers' inputs,
            which are held anyway; `fast`, four times them, but at most a third of what is free; `auto`,
            `fast` where all that is free, else `lean`; or bytes.
    """

    def __init__(self, *, joins: bool = True, memory: Memory = "auto") -> None:
        is_count = isinstance(memory, int) and not isinstance(memory, bool) and memory >= 0
        if not is_count and memory not in ("auto", "fast", "lean"):
            raise InputError("memory", memory, "unknown", "use auto, fast, lean or a number of bytes")
        self._joins, self._memory = joins, memory
        self._trained: TrainedLayers | None = None

    def check(self, module: nn.Module) -> None:
        """Check that every trained layer has a gradient rule."""
        self._layers_of(module).check()

    def score(self, forward: Forward, batch: Batch, source: DirectionSource) -> "GhostScoredBatch":
        """Score a train batch by one pass over it, and over the meta batch where D is its gradient at θ."""
        trained = self._layers_of(forward.module)
        _check_dense(forward)
        both = self._joined(forward, batch, source)
        if both is None and not source.wants_data_gradient:
            source.get()  # before the pass, so that its probes draw the masks that the pass will draw
        ghost = GhostPass(forward, trained, batch, both, memory=self._memory)
        losses_N, layout = ghost.run(), (both is not None, *ghost.row_layout)
        size, found = batch_size(batch), ghost.found
        with without_autocast(batch_device(batch).type):
            if source.wants_data_gradient:
                source.accept_data_gradient(_weighted(trained, found, source.epsilon_at(losses_N)))
            if both is None:
                direction = source.get()
            else:
                direction = source.accept(_meta_gradient(trained, found), losses_N[size:].sum())
            scores_B = _alignments(trained, found, direction)
        return GhostScoredBatch(losses_N[:size], scores_B.to(losses_N), forward, trained, found, layout)

    def _joined(self, forward: Forward, batch: Batch, source: DirectionSource) -> Batch | None:
        """Return train and meta batch as one, where they may pass together."""
        if not self._joins or not source.can_share:
            return None
        if forward.writes_buffers:
            problem = "its forward writes a buffer, which would see the meta batch"
            raise UnsupportedModelError("model", type(forward.module).__name__, problem, REMEDY)
        return forward.joined(batch, source.meta_batch)

    def _layers_of(self, module: nn.Module) -> TrainedLayers:
        if self._trained is None or not self._trained.is_of(module):
            self._trained = TrainedLayers.of(module)
        return self._trained


@dataclass(frozen=True)
class GhostScoredBatch:
    """A scored batch whose weighted gradient is computed from what the pass recorded.

    Attributes:
        losses: Losses [B], detached.
        scores: Alignments [B], detached.
        forward: Evaluated them.
        trained: What of the network is trained.
        found: Example gradients by parameter.
        row_layout: Whether the meta batch passed along, and where the arguments of each call have rows of
            examples, as their shapes tell; a layer may be called on something that they share, too.
    """

    losses: Tensor
    scores: Tensor
    forward: Forward
    trained: TrainedLayers
    found: RecordedGradients
    row_layout: Hashable

    @torch.no_grad()
    def gradient(self, weights_B: Tensor) -> dict[str, Tensor]:
        """Compute Σ w_i ∇ℓ_i from what the pass recorded, which is kept."""
        with without_autocast(weights_B.device.type):
            return _weighted(self.trained, self.found, weights_B)

    @torch.no_grad()
    def backward(self, weights_B: Tensor, *, synchronise: bool = True) -> None:
        """Add the weighted gradient from what the pass recorded; ranks meet in one all-reduce."""
        replicas = self.forward.replicas
        weights_B = weights_B * replicas.world_size  # the mean over ranks is to be their sum
        with without_autocast(weights_B.device.type):
            for parameter, gradient in self.found.weighted(weights_B, is_last=True):
                before = parameter.grad
                parameter.grad = gradient if before is None else _sum(before, gradient)
        if synchronise:
            replicas.average_gradients(replicas.module.parameters())
        for parameter in self.trained.parameters.values():
            if parameter.grad is not None:
                for hook in (getattr(parameter, "_post_accumulate_grad_hooks", None) or {}).values():
                    hook(parameter)


def _check_dense(forward: Forward) -> None:
    """Check that no trained layer has sparse gradients where ranks average them."""
    if forward.replicas.world_size == 1:
        return
    for name, layer in forward.module.named_modules():
        if getattr(layer, "sparse", False) and any(p.requires_grad for p in layer.parameters(recurse=False)):
            problem = "its sparse gradients are not averaged over ranks"
            raise UnsupportedModelError("model", name, problem, f"set sparse=False, or {REMEDY}")


def _sum(left: Tensor, right: Tensor) -> Tensor:
    """Add gradients, of which any may be sparse; torch adds sparse ones to dense ones only."""
    return right + left if left.is_sparse else left + right


@torch.no_grad()
def _meta_gradient(trained: TrainedLayers, found: RecordedGradients) -> dict[str, Part]:
    """Return the gradient of the summed meta losses by parameter name; zero where it does not reach."""
    total = found.meta_gradient()
    return {
        name: total[id(parameter)] if id(parameter) in total else torch.zeros_like(parameter)
        for name, parameter in trained.parameters.items()
    }


@torch.no_grad()
def _weighted(
    trained: TrainedLayers, found: RecordedGradients, weights_B: Tensor | None
) -> dict[str, Tensor]:
    """Compute Σ w_i ∇ℓ_i by parameter name; zero where it does not reach."""
    assert weights_B is not None
    total = {id(parameter): torch.zeros_like(parameter) for parameter in trained.parameters.values()}
    for parameter, gradient in found.weighted(weights_B, is_last=False):
        total[id(parameter)] += gradient
    return {name: total[id(parameter)] for name, parameter in trained.parameters.items()}


@torch.no_grad()
def _alignments(trained: TrainedLayers, found: RecordedGradients, direction: Direction) -> Tensor:
    """Compute ⟨D, ∇ℓ_i⟩ [B], summed over parameters."""
    parameters = trained.parameters.items()
    return found.alignments({id(parameter): direction.parts[name] for name, parameter in parameters})
