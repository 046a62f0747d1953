"""Sharpness-aware minimisation.

Shape suffixes: B train batch of this rank.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from l2rw_ray.config.method.robust import SamConfig
from l2rw_ray.data import Batch
from l2rw_ray.meta import WeightedUpdate
from l2rw_ray.meta.evaluation.losses import trainable, trained_parameters
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod


@METHODS.register("sam")
class SamMethod(StatelessMethod):
    """Step by the gradient at θ + ρ g / ‖g‖, g being the gradient of the mean loss at θ.

    Derivation: to first order, the largest loss within a distance ρ of θ is at θ + ρ g / ‖g‖, and the
    gradient there, without the derivative of the shift, stands for that of the largest loss.

    Source: Foret et al. 2021, equations 2 and 3 and Algorithm 1, with p = 2. Deviations: g is that of the
    global batch on every rank, where they take each accelerator's own; with gradient accumulation each batch
    has a shift of its own. Running statistics of BatchNorm are those of the second of a step's two passes.
    Losses are reported at θ.
    """

    def __init__(self, config: SamConfig, context: TrainingContext) -> None:
        self._rho, self._scaler = config.rho, context.update_options.get("scaler")
        self._update = WeightedUpdate(
            context.model, context.optimizer, context.loss_fn, **context.update_options
        )

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step from two gradients."""
        forward, pair, size = self._update.forward, (batch.x, batch.y), batch.global_size
        weights_B = torch.full((len(batch.y),), 1.0 / size, device=batch.y.device)
        scale = 1.0 if self._scaler is None else self._scaler.get_scale()  # the shift's length is without it
        with self._update.micro_batch(flush=batch.is_last):
            here = trainable(forward.module)
            gradient, losses_B = forward.gradient(pair, here, lambda losses_B: scale * weights_B.to(losses_B))
            total = forward.replicas.sum_all(gradient)
            there = shifted(trained_parameters(forward.module), total, self._rho)
            self._update.update(pair, weights_B, total=1.0, parameters=there)
        return StepOutcome((weights_B.to(losses_B) * losses_B).sum(), losses_B)


def shifted(parameters: Mapping[str, Tensor], gradient: dict[str, Tensor], rho: float) -> dict[str, Tensor]:
    """Return parameters moved by a distance along a gradient; where they are where it is 0.

    Args:
        parameters: By name; gradients reach them through the result.
        gradient: As they are.
        rho: The distance.
    """
    norm = torch.stack([part.double().square().sum() for part in gradient.values()]).sum().sqrt()
    scale = torch.where(norm > 0, rho / norm, torch.zeros_like(norm))
    return {name: own + (scale * gradient[name]).to(own) for name, own in parameters.items()}
