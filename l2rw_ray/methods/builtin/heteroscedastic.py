"""Predicting location and scale: the answer where examples sit on a spectrum of predictability.

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
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.methods.weighted_step import WeightedStep

_SMALLEST_SCALE = 1e-3
"""In standard deviations of the target; no example can draw a likelihood without bound."""


@METHODS.register("heteroscedastic")
class HeteroscedasticMethod(StatelessMethod):
    """Every example counts by how sure the network is of it: plain steps on a likelihood.

    The first output is the location, which is evaluated; the second makes the scale.
    """

    outputs: ClassVar[int] = 2

    def __init__(self, config: HeteroscedasticConfig, context: TrainingContext) -> None:
        self._step = WeightedStep(context, likelihood_loss(config.likelihood, config.beta))

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """One optimiser step on the mean loss, which is the one that is told."""
        return self._step.plain(batch)


def likelihood_loss(likelihood: Literal["gaussian", "laplace"], beta: float) -> LossFunction:
    """The β-NLL: each example's negative log-likelihood times a power of its scale, which is held fixed.

    At β = 0 it is the plain likelihood, under which examples that fit badly are given a large scale and
    hardly learned from; at β = 1 the location's gradient is that of half the squared, or of the absolute,
    error.

    Source: Seitzer et al. 2022, "On the Pitfalls of Heteroscedastic Uncertainty Estimation", for the
    Gaussian: factor σ^(2β). The Laplace's factor is b^β, so that β = 1 has the same meaning; the scale
    is a softplus with a floor.

    Args:
        likelihood: Of the target around its location.
        beta: From 0 to 1.

    Returns:
        Maps outputs [B, 2] and targets [B] to a loss per example, [B].
    """

    def loss_fn(output: Tensor, target_B: Tensor) -> Tensor:
        location_B, scale_B = location_and_scale(output)
        if likelihood == "gaussian":
            nll_B = 0.5 * ((target_B - location_B) / scale_B).square() + scale_B.log()
            nll_B = nll_B + 0.5 * math.log(2 * math.pi)
            return nll_B * scale_B.detach().pow(2 * beta)
        nll_B = (target_B - location_B).abs() / scale_B + scale_B.log() + math.log(2)
        return nll_B * scale_B.detach().pow(beta)

    return loss_fn


def location_and_scale(output: Tensor) -> tuple[Tensor, Tensor]:
    """What the two outputs [B, 2] say: location, [B], and standard deviation or Laplace scale, [B]."""
    return output[:, 0], softplus(output[:, 1]) + _SMALLEST_SCALE
