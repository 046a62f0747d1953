"""Logit adjustment: cross-entropy of logits that are shifted by the log of each class's share.

Shape suffixes: B train batch of this rank, C classes.
"""

from torch import Tensor

from l2rw_ray.config.method.imbalance import LogitAdjustmentConfig
from l2rw_ray.data import Batch
from l2rw_ray.meta import LossFunction
from l2rw_ray.methods.builtin.class_weights import class_counts
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.precision import at_least_float32
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.methods.weighted_step import WeightedStep


def adjusted_loss(cross_entropy: LossFunction, counts_C: Tensor, tau: float) -> LossFunction:
    """Return a loss function that first adds τ log π to the logits, π being the shares of the classes.

    Args:
        cross_entropy: Maps logits [B, C] and labels [B] to losses [B].
        counts_C: Train examples of each class; an empty class counts as if it had one.
        tau: τ.
    """
    present_C = counts_C.clamp_min(1)
    shift_C = tau * (present_C / present_C.sum()).log()

    def losses(output_BC: Tensor, target_B: Tensor) -> Tensor:
        output_BC = at_least_float32(output_BC)
        return cross_entropy(output_BC + shift_C.to(output_BC), target_B)

    return losses


@METHODS.register("logit_adjustment")
class LogitAdjustmentMethod(StatelessMethod):
    """Train on the logit-adjusted cross-entropy, whose plain logits are those of balanced classes.

    Source: Menon et al. 2021, equation 10, with their τ = 1 and the class shares of the given labels.
    The losses of the other sets are cross-entropies of the plain logits, as the network is used.
    """

    def __init__(self, config: LogitAdjustmentConfig, context: TrainingContext) -> None:
        counts_C = class_counts(context.train, context.classes)
        self._step = WeightedStep(context, adjusted_loss(context.loss_fn, counts_C, config.tau))

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the mean adjusted loss."""
        return self._step.plain(batch)
