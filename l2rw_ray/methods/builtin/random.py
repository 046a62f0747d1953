"""Random weights, the control of Ren et al. 2018 that L2RW must beat."""

import torch
from torch import Tensor

from l2rw_ray.config.method.methods import RandomConfig
from l2rw_ray.data import Batch, rng_for
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.methods.weighted_step import WeightedStep


@METHODS.register("random")
class RandomMethod(StatelessMethod):
    """Weight examples by rectified standard Gaussians, normalised over the global batch.

    Source: Ren et al. 2018, section 4.1 ("Random"). One Gaussian is drawn per train example and
    epoch, so that every number of workers sees the same weights.
    """

    def __init__(self, config: RandomConfig, context: TrainingContext) -> None:
        self._context, self._step = context, WeightedStep(context)
        self._epoch = -1
        self._gaussian_N = torch.empty(0)

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the randomly weighted loss."""
        return self._step.weighted(batch, self._scores(epoch)[batch.index.cpu()].clamp_min(0))

    def _scores(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            generator = rng_for(self._context.seed, "random_weights", epoch)
            self._gaussian_N = torch.randn(self._context.train_size, generator=generator)
            self._epoch = epoch
        return self._gaussian_N
