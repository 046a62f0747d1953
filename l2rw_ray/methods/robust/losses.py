"""Losses that wrong labels mislead less than they do cross-entropy.

Shape suffixes: B train batch of this rank, C classes.
"""

import torch
from torch import Tensor
from torch.nn import functional

from l2rw_ray.config.method.losses import (
    GeneralisedCrossEntropyConfig,
    LabelSmoothingConfig,
    SymmetricCrossEntropyConfig,
)
from l2rw_ray.data import Batch
from l2rw_ray.meta import LossFunction
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.methods.weighted_step import WeightedStep


def smoothed_cross_entropy(smoothing: float) -> LossFunction:
    """Return torch's cross-entropy with label smoothing."""

    def losses(output_BC: Tensor, target_B: Tensor) -> Tensor:
        return functional.cross_entropy(output_BC, target_B, reduction="none", label_smoothing=smoothing)

    return losses


def generalised_cross_entropy(cross_entropy: LossFunction, q: float) -> LossFunction:
    """Return a function for the losses (1 − p^q) / q, p being the predicted probability of the label.

    Args:
        cross_entropy: Maps logits [B, C] and labels [B] to −log p, [B].
        q: Above 0.
    """

    def losses(output_BC: Tensor, target_B: Tensor) -> Tensor:
        return -torch.expm1(-q * cross_entropy(output_BC, target_B)) / q

    return losses


def symmetric_cross_entropy(
    cross_entropy: LossFunction, alpha: float, beta: float, log_zero: float
) -> LossFunction:
    """Return a function for the losses −α log p − β A (1 − p), p being the probability of the label.

    The second term is the reverse cross-entropy −Σ_k p_k log y_k of a one-hot label y with log 0 := A.

    Args:
        cross_entropy: Maps logits [B, C] and labels [B] to −log p, [B].
        alpha: α.
        beta: β.
        log_zero: A.
    """

    def losses(output_BC: Tensor, target_B: Tensor) -> Tensor:
        entropy_B = cross_entropy(output_BC, target_B)
        return alpha * entropy_B + beta * log_zero * torch.expm1(-entropy_B)

    return losses


class _LossMethod(StatelessMethod):
    """Plain steps on the mean of a loss; the losses of the other sets are cross-entropies."""

    def __init__(self, loss_fn: LossFunction, context: TrainingContext) -> None:
        self._step = WeightedStep(context, loss_fn)

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the mean loss."""
        return self._step.plain(batch)


@METHODS.register("label_smoothing")
class LabelSmoothingMethod(_LossMethod):
    """Train on cross-entropy against labels that are smoothed over all classes.

    Source: Szegedy et al. 2016, section 7, with a uniform prior.
    """

    def __init__(self, config: LabelSmoothingConfig, context: TrainingContext) -> None:
        super().__init__(smoothed_cross_entropy(config.smoothing), context)


@METHODS.register("generalised_cross_entropy")
class GeneralisedCrossEntropyMethod(_LossMethod):
    """Train on the mean generalised cross-entropy.

    Source: Zhang & Sabuncu 2018, equation 6, with their q = 0.7. Deviation: not the truncated loss of
    section 3.3.
    """

    def __init__(self, config: GeneralisedCrossEntropyConfig, context: TrainingContext) -> None:
        super().__init__(generalised_cross_entropy(context.loss_fn, config.q), context)


@METHODS.register("symmetric_cross_entropy")
class SymmetricCrossEntropyMethod(_LossMethod):
    """Train on the mean symmetric cross-entropy.

    Source: Wang et al. 2019, with their settings for CIFAR-10. Deviation: probabilities are not clamped
    away from 0, where log p is finite anyway.
    """

    def __init__(self, config: SymmetricCrossEntropyConfig, context: TrainingContext) -> None:
        loss_fn = symmetric_cross_entropy(context.loss_fn, config.alpha, config.beta, config.log_zero)
        super().__init__(loss_fn, context)
