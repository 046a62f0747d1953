"""One backward per example: slow, and right by definition wherever a loss can be differentiated once."""

import torch
from torch import nn

from l2rw_ray.meta.alignment.interface import GraphScoredBatch, check_not_compiled
from l2rw_ray.meta.alignment.registry import ESTIMATORS
from l2rw_ray.meta.batches import Batch
from l2rw_ray.meta.direction import DirectionSource
from l2rw_ray.meta.forward import Forward


@ESTIMATORS.register("per_example")
class PerExample:
    """Alignments of gradients that are taken one after the other through one graph, at B backwards."""

    def check(self, module: nn.Module) -> None:
        """Accept every module."""

    def score(self, forward: Forward, batch: Batch, source: DirectionSource) -> GraphScoredBatch:
        """Score a train batch by differentiating entry after entry of its loss vector."""
        check_not_compiled(forward, "per_example")
        direction = source.get().values
        trained = {name: p for name, p in forward.module.named_parameters() if p.requires_grad}
        along = [direction[name] for name in trained]
        with torch.enable_grad():
            losses_B = forward.training(batch)
        scores_B = torch.zeros_like(losses_B)
        for number, loss in enumerate(losses_B):
            parts = torch.autograd.grad(loss, tuple(trained.values()), retain_graph=True, allow_unused=True)
            products = [
                _dot(value, part) for value, part in zip(along, parts, strict=True) if part is not None
            ]
            if products:
                scores_B[number] = torch.stack(products).sum()
        return GraphScoredBatch(losses_B, scores_B.detach(), forward.replicas.world_size)


def _dot(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    dense = right.to_dense() if right.is_sparse else right
    with torch.autocast(left.device.type, enabled=False):
        return torch.dot(left.flatten(), dense.flatten())
