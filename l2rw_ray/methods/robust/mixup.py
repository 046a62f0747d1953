"""Mixup: training on mixtures of two examples.

Shape suffixes: B train batch of this rank.
"""

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config.method.robust import MixUpConfig
from l2rw_ray.data import Batch
from l2rw_ray.data.random_streams import rng_for
from l2rw_ray.errors import ConfigError
from l2rw_ray.meta import LossFunction, WeightedUpdate
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.trees import Tree, map_tensors, tensors_of

MixedTargets = tuple[Tensor, Tensor, Tensor]
"""Targets [B] of the first and of the second example of each mixture, and the share of the first, [B]."""


@METHODS.register("mixup")
class MixUpMethod(StatelessMethod):
    """Train on λ x_i + (1 − λ) x_j, whose loss is λ ℓ(y_i) + (1 − λ) ℓ(y_j).

    λ is drawn from Beta(α, α) once per batch, the same on all ranks, and j is an example of the rank's share
    of the batch, drawn by a permutation.

    Source: Zhang et al. 2018, equation 1 and Figure 1a. Deviations: the loss is mixed instead of the labels,
    which is the same for cross-entropy and defined for every loss. With several ranks, examples are mixed
    with those of their own rank; with gradient accumulation, each batch of a step has a λ of its own.
    """

    def __init__(self, config: MixUpConfig, context: TrainingContext) -> None:
        self._alpha, self._seed, self._rank = config.alpha, context.seed, context.rank
        self._update = WeightedUpdate(
            context.model, context.optimizer, mixed_loss(context.loss_fn), **context.update_options
        )

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the mean loss of mixtures."""
        check_mixable(batch.x)
        size, device = len(batch.y), batch.y.device
        share = draw_lambda(self._alpha, self._seed, number)
        partner_B = torch.randperm(size, generator=rng_for(self._seed, "mixup partner", number, self._rank))
        partner_B = partner_B.to(device)
        x = map_tensors(batch.x, lambda rows: _mixed(rows, partner_B, share))
        weights_B = torch.full((size,), 1.0 / batch.global_size, device=device)
        targets: MixedTargets = (batch.y, batch.y[partner_B], torch.full_like(weights_B, share))
        with self._update.micro_batch(flush=batch.is_last):
            done = self._update.update((x, targets), weights_B, total=1.0)
        return StepOutcome(done.loss, done.losses, is_on_batch=False)


def mixed_loss(loss_fn: LossFunction) -> LossFunction:
    """Return the loss of mixtures: of both targets, by their shares.

    Args:
        loss_fn: Maps outputs and targets [B] to losses [B].
    """

    def losses(output: Tensor, targets: MixedTargets) -> Tensor:
        first_B, second_B, share_B = targets
        return share_B * loss_fn(output, first_B) + (1 - share_B) * loss_fn(output, second_B)

    return losses


def check_mixable(inputs: Tree) -> None:
    """Check that inputs have a mean.

    Args:
        inputs: Inputs of a batch, a tree of tensors.

    Raises:
        ConfigError: Some are whole numbers or truth values.
    """
    for rows in tensors_of(inputs):
        if not rows.is_floating_point():
            problem = f"inputs in {str(rows.dtype).removeprefix('torch.')} have no mean to train on"
            raise ConfigError("method.name", "mixup", problem, "compare other methods")


def _mixed(rows: Tensor, partner_B: Tensor, share: float) -> Tensor:
    return share * rows + (1 - share) * rows[partner_B]


def draw_lambda(alpha: float, seed: int, number: int) -> float:
    """Draw λ of a batch from Beta(α, α).

    Args:
        alpha: α.
        seed: The trial's seed.
        number: Batches before this one in the whole trial.
    """
    generator = np.random.default_rng(rng_for(seed, "mixup share", number).initial_seed())
    return float(generator.beta(alpha, alpha))
