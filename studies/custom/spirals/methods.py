"""How one batch becomes one optimiser step."""

from typing import Any

import torch

from l2rw_ray.data import Batch
from l2rw_ray.meta import WeightedUpdate
from l2rw_ray.methods import StepOutcome, TrainingContext


class SmallestLosses:
    """Trusts the examples of a batch that the network finds easiest, and leaves out the others.

    Wrong labels are learnt later than right ones, so that their losses are large for a while.

    Args:
        context: What the trial trains with.
        keep: Share of each batch that is trusted; with several workers, of each one's part of it.
        warm_up_epochs: Passes over the train set in which all examples count.
    """

    def __init__(self, context: TrainingContext, keep: float = 0.7, warm_up_epochs: int = 20) -> None:
        self._model, self._loss_fn = context.model, context.loss_fn
        self._keep, self._warm_up_epochs = keep, warm_up_epochs
        self._update = WeightedUpdate(
            context.model, context.optimizer, context.loss_fn, **context.update_options
        )

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """One optimiser step on the mean loss of the trusted examples."""
        with torch.no_grad():
            losses_B = self._loss_fn(self._model(batch.x), batch.y)
        keep = 1.0 if epoch < self._warm_up_epochs else self._keep
        trusted_B = losses_B <= losses_B.quantile(keep)
        weights_B = trusted_B / (keep * batch.global_size)
        with self._update.micro_batch(flush=batch.is_last):
            done = self._update.update((batch.x, batch.y), weights_B, total=1.0)
        return StepOutcome(done.loss, done.losses, weights_B)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the arm keeps nothing from one step to the next."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""
