"""The focal loss, which discounts examples that are predicted well.

Shape suffixes: B train batch of this rank, C classes.
"""

import torch
from torch import Tensor

from l2rw_ray.config.method.imbalance import FocalConfig
from l2rw_ray.data import Batch
from l2rw_ray.meta import LossFunction
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.methods.weighted_step import WeightedStep


def focal_loss(cross_entropy: LossFunction, gamma: float) -> LossFunction:
    """Return a function for the losses (1 − p)^γ · −log p, p being the predicted probability of the label.

    Args:
        cross_entropy: Maps logits [B, C] and labels [B] to −log p, [B].
        gamma: The exponent; 0 leaves the losses as they are.
    """

    def losses(output_BC: Tensor, target_B: Tensor) -> Tensor:
        entropy_B = cross_entropy(output_BC, target_B)
        # at p = 1 the slope of a root is infinite; the clamp has none there
        missed_B = (-torch.expm1(-entropy_B)).clamp_min(torch.finfo(entropy_B.dtype).tiny)
        return missed_B.pow(gamma) * entropy_B

    return losses


@METHODS.register("focal")
class FocalMethod(StatelessMethod):
    """Train on the mean focal loss of the softmax.

    Source: Lin et al. 2017, equation 4, for several classes. Deviations: no factor α per class (theirs
    is for two), and a mean over examples, where detectors divide by the number of matched boxes. The
    method's `train_loss` is the focal loss; the losses of the other sets are cross entropies.
    """

    def __init__(self, config: FocalConfig, context: TrainingContext) -> None:
        self._step = WeightedStep(context, focal_loss(context.loss_fn, config.gamma))

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the mean focal loss."""
        return self._step.plain(batch)
