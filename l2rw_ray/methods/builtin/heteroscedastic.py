"""Regression that predicts a location and a scale, for targets that differ in how predictable they are.

Shape suffixes: B train batch of this rank.
"""

import math
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import softplus

from l2rw_ray.config.method.methods import HeteroscedasticConfig
from l2rw_ray.data import Batch
from l2rw_ray.meta import LossFunction
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.precision import at_least_float32
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.methods.weighted_step import WeightedStep

_SMALLEST_SCALE = 1e-3
"""Floor of the scale in standard deviations of the target; it bounds the likelihood of an example."""


@METHODS.register("heteroscedastic")
class HeteroscedasticMethod(StatelessMethod):
    """Train with plain steps on a likelihood, so that uncertain examples count less.

    The first output is the location, which is evaluated; the second gives the scale.
    """

    outputs: ClassVar[int] = 2

    def __init__(self, config: HeteroscedasticConfig, context: TrainingContext) -> None:
        self._step = WeightedStep(context, likelihood_loss(config.likelihood, config.beta))

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the mean loss, which is also the one reported."""
        return self._step.plain(batch)


def likelihood_loss(likelihood: Literal["gaussian", "laplace"], beta: float) -> LossFunction:
    """Return the β-NLL: negative log-likelihood times a power of the scale, which is not differentiated.

    At β = 0 it is the plain likelihood, under which examples that fit badly are given a large scale and
    hardly learned from; at β = 1 the location's gradient is that of half the squared, or of the absolute,
    error.

    Source: Seitzer et al. 2022, "On the Pitfalls of Heteroscedastic Uncertainty Estimation", for the
    Gaussian: factor σ^(2β). The Laplace's factor is b^β, so that β = 1 has the same meaning; the scale
    is a softplus with a floor.

    Args:
        likelihood: Distribution of the target around its location.
        beta: From 0 to 1.

    Returns:
        A function from outputs [B, 2] and targets [B] to a loss per example, [B].
    """

    def loss_fn(output: Tensor, target_B: Tensor) -> Tensor:
        location_B, scale_B = location_and_scale(at_least_float32(output))
        if likelihood == "gaussian":
            nll_B = 0.5 * ((target_B - location_B) / scale_B).square() + scale_B.log()
            nll_B = nll_B + 0.5 * math.log(2 * math.pi)
            return nll_B * scale_B.detach().pow(2 * beta)
        nll_B = (target_B - location_B).abs() / scale_B + scale_B.log() + math.log(2)
        return nll_B * scale_B.detach().pow(beta)

    return loss_fn


def location_and_scale(output: Tensor) -> tuple[Tensor, Tensor]:
    """Split outputs [B, 2] into location, [B], and standard deviation or Laplace scale, [B]."""
    return output[:, 0], softplus(output[:, 1]) + _SMALLEST_SCALE
