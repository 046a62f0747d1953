"""Sampling by class: frequent classes less often, rare ones more often."""

import torch

from l2rw_ray.config.method.imbalance import ResampleConfig
from l2rw_ray.data import Batch, rng_for
from l2rw_ray.methods.builtin.class_weights import class_counts, inverse_frequency_weights
from l2rw_ray.methods.interface import Epoch, StepOutcome, TrainingContext
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.methods.weighted_step import WeightedStep


@METHODS.register("resample")
class ResampleMethod(StatelessMethod):
    """Draw examples with replacement, with probabilities under which all classes are equally frequent.

    As torch's WeightedRandomSampler with one over each class's count. An epoch has as many steps as one
    over the train set; `visited_fraction` is the share of the set that was drawn.
    """

    def __init__(self, config: ResampleConfig, context: TrainingContext) -> None:
        self._context, self._step = context, WeightedStep(context)

    def begin_epoch(self, epoch: int) -> Epoch:
        """Draw as many examples as the train set has."""
        train = self._context.train
        weights_C = inverse_frequency_weights(class_counts(train, self._context.classes))
        generator = rng_for(self._context.seed, "resample", epoch)
        order = torch.multinomial(
            weights_C[train.labels].cpu(), len(train), replacement=True, generator=generator
        )
        return Epoch(order=order, metrics={"visited_fraction": len(order.unique()) / len(train)})

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the mean loss."""
        return self._step.plain(batch)
