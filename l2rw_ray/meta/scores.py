"""Scores of examples: how much each one helps the meta set."""

from torch import Tensor, nn

from l2rw_ray.meta.alignment import estimator_named
from l2rw_ray.meta.lookahead import meta_gradient
from l2rw_ray.meta.losses import Batch, LossFunction, untouched_generators
from l2rw_ray.meta.replicas import Replicas


def example_scores(
    model: nn.Module,
    loss_fn: LossFunction,
    train_batch: Batch,
    meta_batch: Batch,
    estimator: str = "auto",
) -> Tensor:
    """Scores u_i = ⟨∇L_meta(θ), ∇ℓ_i(θ)⟩ of a train batch.

    A positive score means that a small step on example i lowers the meta loss. Nothing is written:
    no parameter, gradient, buffer or random generator.

    Args:
        model: Network, or a DistributedDataParallel wrapper whose ranks call this together.
        loss_fn: Maps (output, target) to one loss per example.
        train_batch: Inputs [B, …] and targets [B, …] of this rank.
        meta_batch: Clean inputs [M, …] and targets [M, …], this rank's share.
        estimator: How alignments are computed; `auto` takes the cheapest exact one.

    Returns:
        Scores [B], for learning rate 1.

    Raises:
        InputError: The estimator is unknown, or the loss function does not return a loss per example.

    Source:
        Ren et al. 2018, Algorithm 1, lines 5 to 8.
    """
    replicas = Replicas.of(model)
    with untouched_generators(meta_batch[0].device):
        direction, _ = meta_gradient(replicas, loss_fn, meta_batch)
    return estimator_named(estimator)(replicas.module, loss_fn, train_batch, direction)
