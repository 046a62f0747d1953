"""Methods that drop the train examples that fit a first model worst.

Shape suffixes: N train examples.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from l2rw_ray.config.method.stages import FilterConfig
from l2rw_ray.data import Batch, epoch_order
from l2rw_ray.errors import DataError
from l2rw_ray.methods.interface import Epoch, StepOutcome, TrainingContext
from l2rw_ray.methods.two_stages import TwoStageMethod


class FilterMethod(TwoStageMethod):
    """Plain training in two stages, the second without the dropped examples.

    The second stage passes over the kept examples again and again, each time in the order that all methods
    share. Its epochs have as many steps as those of the first, so that all methods have equal budgets.
    """

    def __init__(self, config: FilterConfig, context: TrainingContext) -> None:
        super().__init__(config, context)
        self._first_epochs = config.first_epochs
        self._fraction, self.reference = config.drop_fraction, config.reference

    @abstractmethod
    def outlier_scores(self, step: int) -> Tensor:
        """Return outlier scores of the train examples, [N]; those of the largest are dropped."""

    def compute_weights(self, step: int) -> Tensor:
        """Return 1 for the examples that are kept, 0 for the others.

        Raises:
            DataError: Fewer are kept than there are workers.
        """
        scores_N = self.outlier_scores(step)
        dropped = round(self._fraction * len(scores_N))
        if len(scores_N) - dropped < self._context.world_size:
            problem = (
                f"keeps {len(scores_N) - dropped} of {len(scores_N)} examples, fewer than there are workers"
            )
            raise DataError("method.drop_fraction", self._fraction, problem, "lower it")
        kept_N = torch.ones_like(scores_N)
        kept_N[scores_N.argsort(descending=True, stable=True)[:dropped]] = 0.0
        return kept_N

    def second_stage(self, epoch: int, weights_N: Tensor) -> Epoch:
        """Return the kept examples, starting where the epoch before stopped."""
        size, kept_N = self._context.train_size, weights_N.cpu() > 0
        start, kept = (epoch - self._first_epochs) * size, int(kept_N.sum())
        passes = range(start // kept, -(-(start + size) // kept))
        orders = [epoch_order(size, self._context.seed, self._first_epochs + number) for number in passes]
        together = torch.cat([order[kept_N[order]] for order in orders])
        offset = start - passes.start * kept
        return Epoch(order=together[offset : offset + size], metrics=self.metrics(weights_N))

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the mean loss."""
        return self._step.plain(batch)

    def metrics(self, weights_N: Tensor) -> dict[str, float]:
        """Return `dropped_fraction` and `dropped_corrupted_fraction`."""
        return self.share_metrics("dropped", weights_N == 0)
