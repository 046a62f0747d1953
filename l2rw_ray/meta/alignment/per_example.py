"""One backward per example: slow, and right by definition wherever a loss can be differentiated once."""

import torch
from torch import nn

from l2rw_ray.meta.alignment.interface import GraphScoredBatch
from l2rw_ray.meta.alignment.registry import ESTIMATORS
from l2rw_ray.meta.direction import DirectionSource
from l2rw_ray.meta.evaluation.batches import Batch, batch_size
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.generators import untouched_library_generators
from l2rw_ray.meta.evaluation.losses import trainable


@ESTIMATORS.register("per_example")
class PerExample:
    """Alignments of gradients taken one after the other, at B forwards and backwards of the batch.

    Where parameters are sharded the ranks make each together, as many as they have examples in all.
    """

    treats_shards = True

    def check(self, module: nn.Module) -> None:
        """Accept every module."""

    def score(self, forward: Forward, batch: Batch, source: DirectionSource) -> GraphScoredBatch:
        """Score a train batch by differentiating entry after entry of its loss vector."""
        direction, parameters = source.get(), trainable(forward.module)
        like = next(iter(parameters.values())).new_empty(0)
        turns_NB, own = forward.replicas.one_by_one(batch_size(batch), direction.meta_loss)
        plain, replay = forward.as_dry().uncompiled(), forward.generators(batch)
        with untouched_library_generators():
            products, _ = plain.gradients(batch, parameters, turns_NB, replay, direction.inner)
        scores_B = torch.stack(products)[own] if products else like
        with torch.enable_grad():
            losses_B = forward.training(batch)
        return GraphScoredBatch(losses_B, scores_B, forward.replicas.world_size)
