"""Weights by class, by inverse frequency or by effective number.

Shape suffixes: B train batch of this rank, C classes.
"""

import math

import torch
from torch import Tensor

from l2rw_ray.config.method.imbalance import ClassBalancedConfig, InverseFrequencyConfig
from l2rw_ray.data import Batch, ExampleSet
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.methods.weighted_step import WeightedStep


def class_counts(examples: ExampleSet, classes: int) -> Tensor:
    """Return the number of examples per given label, right or wrong, float64 [C]."""
    return examples.labels.bincount(minlength=classes).double()


def inverse_frequency_weights(counts_C: Tensor) -> Tensor:
    """Return one over each class's count, scaled to a mean of 1 over the examples; 0 for an empty class.

    Source: King & Zeng 2001; scikit-learn's class weights "balanced".
    """
    return _per_example(1.0 / counts_C, counts_C)


def effective_number_weights(counts_C: Tensor, beta: float) -> Tensor:
    """Return one over each class's effective number (1 − βⁿ)/(1 − β), scaled to a mean of 1 over examples.

    Source: Cui et al. 2019, equation 4; theirs are scaled to a mean of 1 over the classes. A class
    without examples has weight 0.
    """
    log_beta = math.log(beta) if beta else -math.inf
    return _per_example(1.0 / -torch.expm1(counts_C * log_beta), counts_C)


def _per_example(weights_C: Tensor, counts_C: Tensor) -> Tensor:
    found_C = weights_C.where(counts_C > 0, 0.0)
    return found_C * counts_C.sum() / (found_C * counts_C).sum()


class _ClassWeightsMethod(StatelessMethod):
    """Weight examples by class, normalised over the global batch."""

    def __init__(self, weights_C: Tensor, context: TrainingContext) -> None:
        self._weights_C, self._step = weights_C, WeightedStep(context)

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the weighted loss."""
        return self._step.weighted(batch, self._weights_C[batch.y])


@METHODS.register("inverse_frequency")
class InverseFrequencyMethod(_ClassWeightsMethod):
    """Weight each class by one over its number of train examples.

    As in torch's weighted cross entropy, a step's weights are divided by their sum, so that steps are
    as long as those of other methods.
    """

    def __init__(self, config: InverseFrequencyConfig, context: TrainingContext) -> None:
        super().__init__(inverse_frequency_weights(class_counts(context.train, context.classes)), context)


@METHODS.register("class_balanced")
class ClassBalancedMethod(_ClassWeightsMethod):
    """Weight each class by one over its effective number of train examples.

    Source: Cui et al. 2019, with softmax cross entropy. Deviation: a step's weights are divided by their
    sum, as in the code of Cao et al. 2019; there the weighted losses are averaged over the batch, and
    steps on batches of frequent classes are shorter.
    """

    def __init__(self, config: ClassBalancedConfig, context: TrainingContext) -> None:
        counts_C = class_counts(context.train, context.classes)
        super().__init__(effective_number_weights(counts_C, config.beta), context)
