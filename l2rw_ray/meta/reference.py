"""Algorithm 1 as printed, by double backward: slow, simple, and the reference for everything else."""

import torch
from torch import Tensor, nn

from l2rw_ray.meta.evaluation.batches import Batch, batch_device
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.generators import untouched_generators
from l2rw_ray.meta.evaluation.losses import LossFunction, losses_from, trainable
from l2rw_ray.meta.replicas import Replicas


def reference_scores(
    model: nn.Module,
    loss_fn: LossFunction,
    train_batch: Batch,
    meta_batch: Batch,
    learning_rate: float = 1.0,
) -> Tensor:
    """Compute scores u_i = −∂L_meta(θ̂(ε))/∂ε_i at ε = 0, differentiated through the lookahead step.

    Args:
        model: Network, not wrapped; in float64 the result is exact to about twelve digits.
        loss_fn: Maps (output, target) to one loss per example.
        train_batch: Inputs [B, …] and targets [B, …].
        meta_batch: Clean inputs [M, …] and targets [M, …].
        learning_rate: α of the lookahead; scores are proportional to it.

    Returns:
        Scores [B].

    Source:
        Ren et al. 2018, Algorithm 1, lines 4 to 9.
    """
    parameters, forward = (
        trainable(model),
        Forward(Replicas.single(model), losses_from(loss_fn, None), dry=True),
    )
    with torch.enable_grad(), untouched_generators(batch_device(train_batch)):
        losses_B = forward.training(train_batch, parameters)
        epsilon_B = torch.zeros_like(losses_B, requires_grad=True)
        gradients = torch.autograd.grad(
            (epsilon_B * losses_B).sum(),
            tuple(parameters.values()),
            create_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        stepped = {
            name: parameter - learning_rate * gradient
            for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True)
        }
        meta_loss = forward.training(meta_batch, stepped).mean()
        (slope_B,) = torch.autograd.grad(meta_loss, epsilon_B)
    return -slope_B
