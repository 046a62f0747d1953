"""The direction D that examples are held against."""

import torch
from torch import Tensor

from l2rw_ray.meta.losses import Batch, LossFunction, losses_at, trainable
from l2rw_ray.meta.replicas import Replicas


def meta_gradient(
    replicas: Replicas, loss_fn: LossFunction, meta_batch: Batch
) -> tuple[dict[str, Tensor], Tensor]:
    """D for the paper's lookahead, plain SGD at ε = 0: the gradient of the mean meta loss at θ.

    The learning rate is left out; it cancels when weights are normalised. Nothing is written.

    Args:
        replicas: The ranks, each with its share of the meta batch.
        loss_fn: Maps (output, target) to one loss per example.
        meta_batch: This rank's share of the meta batch, [M].

    Returns:
        D by parameter name (zeros where the meta loss does not depend on a parameter), and the
        mean meta loss, over all ranks.

    Source:
        Ren et al. 2018, equation 12, with the derivative with respect to ε carried out.
    """
    parameters = trainable(replicas.module)
    with torch.enable_grad():
        loss_sum = losses_at(replicas.module, parameters, loss_fn, meta_batch).sum()
    parts = torch.autograd.grad(
        loss_sum, tuple(parameters.values()), allow_unused=True, materialize_grads=True
    )
    gradient = dict(zip(parameters, parts, strict=True))
    return replicas.mean_gradient(gradient, loss_sum.detach(), len(meta_batch[1]))
