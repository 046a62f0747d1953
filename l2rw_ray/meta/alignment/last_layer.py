"""The last linear layer alone: cheap, and not exact.

The score of an example is the alignment of its gradient with D in the output layer's parameters,
where most of the signal about labels is. One forward of the meta batch and its output layer's
gradient are all it costs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.alignment.interface import REMEDY, GraphScoredBatch, check_not_compiled
from l2rw_ray.meta.alignment.registry import ESTIMATORS
from l2rw_ray.meta.direction import DirectionSource
from l2rw_ray.meta.evaluation.batches import Batch
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.losses import trained_parameters


@dataclass
class _Call:
    """What the output layer saw, and how often: features [B, in] and logits [B, out]."""

    count: int = 0
    features: Tensor | None = None
    logits: Tensor | None = None


@ESTIMATORS.register("last_layer")
class LastLayer:
    """Alignments in the last linear layer of the module."""

    def check(self, module: nn.Module) -> None:
        """Check that there is a linear layer that is trained."""
        _head(module)

    def score(self, forward: Forward, batch: Batch, source: DirectionSource) -> GraphScoredBatch:
        """Score a train batch by aligning its gradients with D in the last linear layer alone."""
        check_not_compiled(forward, "last_layer")
        name, head = _head(forward.module)
        parts = {id(part) for part in head.parameters()}  # tied ones go by the name of another layer
        named = trained_parameters(forward.module).items()
        own = {full: part for full, part in named if id(part) in parts}
        direction = source.get(own).values
        call = _Call()

        def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            call.count, call.features, call.logits = call.count + 1, inputs[0].detach(), output

        handle = head.register_forward_hook(record)
        try:
            with torch.enable_grad():
                losses_B = forward.training(batch)
        finally:
            handle.remove()
        features, logits = call.features, call.logits
        if features is None or logits is None or call.count > 1 or features.shape[:-1] != losses_B.shape:
            raise _refusal(name, "it is not called once with features of shape [B, F]")
        (slope_BC,) = torch.autograd.grad(losses_B.sum(), logits, retain_graph=True)
        along_BC = torch.zeros_like(slope_BC)
        for full, parameter in own.items():
            part = direction[full].to(slope_BC)
            along_BC += features.to(slope_BC) @ part.T if parameter is head.weight else part
        return GraphScoredBatch(losses_B, (along_BC * slope_BC).sum(dim=1), forward.replicas.world_size)


def _head(module: nn.Module) -> tuple[str, nn.Linear]:
    """Return name and module of the last trained linear layer, in order of registration."""
    linear = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    trained = [(name, part) for name, part in linear if any(p.requires_grad for p in part.parameters())]
    if not trained:
        raise _refusal(type(module).__name__, "it has no linear layer that is trained")
    return trained[-1]


def _refusal(name: str, problem: str) -> UnsupportedModelError:
    return UnsupportedModelError("model", name, problem, REMEDY)
