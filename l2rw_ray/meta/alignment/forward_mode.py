"""Forward-mode differentiation: one Jacobian-vector product of the loss vector along D."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from l2rw_ray.meta.alignment.registry import register
from l2rw_ray.meta.losses import Batch, LossFunction, losses_at, trainable, untouched_generators


@register("forward_mode")
def forward_mode(
    module: nn.Module, loss_fn: LossFunction, batch: Batch, direction: Mapping[str, Tensor]
) -> Tensor:
    """Exact alignments [B] for any module, at the cost of about two forwards.

    Where examples are coupled (train-mode BatchNorm), ∇ℓ_i is the derivative of entry i of the
    batch's loss vector. See `Estimator` for the arguments.
    """
    point = {name: parameter.detach() for name, parameter in trainable(module).items()}

    def loss_vector(parameters: dict[str, Tensor]) -> Tensor:
        return losses_at(module, parameters, loss_fn, batch)

    with torch.no_grad(), untouched_generators(batch[0].device):
        alignment_B: Tensor = torch.func.jvp(loss_vector, (point,), (dict(direction),))[1]
    return alignment_B
