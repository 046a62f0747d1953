"""The optimiser step of most methods, on the plain or the weighted loss of the global batch."""

import torch
from torch import Tensor

from l2rw_ray.data import Batch
from l2rw_ray.meta import LossFunction, WeightedUpdate
from l2rw_ray.meta.weights import normalised
from l2rw_ray.methods.interface import StepOutcome, TrainingContext


class WeightedStep:
    """Optimiser steps whose weights sum to 1 over the examples of all ranks.

    Args:
        context: What the trial trains with.
        loss_fn: Maps (output, target) to one loss per example; None for the trial's.
    """

    def __init__(self, context: TrainingContext, loss_fn: LossFunction | None = None) -> None:
        self._update = WeightedUpdate(
            context.model, context.optimizer, loss_fn or context.loss_fn, **context.update_options
        )

    def plain(self, batch: Batch) -> StepOutcome:
        """Make one step with weight 1/B for every example of the global batch."""
        size, device = len(batch.y), batch.y.device
        weights_B = torch.full((size,), 1.0 / batch.global_size, dtype=torch.float32, device=device)
        with self._update.micro_batch(flush=batch.is_last):
            done = self._update.update((batch.x, batch.y), weights_B, total=1.0)
        return StepOutcome(done.loss, done.losses)

    def weighted(self, batch: Batch, relative_B: Tensor) -> StepOutcome:
        """Make one step with weights in proportion to those given; skip it where all are 0.

        Args:
            batch: This rank's share.
            relative_B: A non-negative weight of any scale for each example of the share.
        """
        relative_B = relative_B.to(batch.y.device, torch.float32)
        totals = self._update.forward.replicas.batch_totals(relative_B.sum(), len(relative_B))
        weights_B = normalised(relative_B, totals, "batch_sum")
        with self._update.micro_batch(flush=batch.is_last):
            done = self._update.update((batch.x, batch.y), weights_B, totals.weight.item())
        return StepOutcome(done.loss, done.losses, weights_B, done.skipped)
