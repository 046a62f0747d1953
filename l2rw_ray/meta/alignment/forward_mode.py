"""Forward-mode differentiation: one Jacobian-vector product of the loss vector along D."""

import warnings
from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from l2rw_ray.meta.alignment.registry import ESTIMATORS
from l2rw_ray.meta.losses import Batch, LossFunction, losses_at, trainable, untouched_generators


@ESTIMATORS.register("forward_mode")
def forward_mode(
    module: nn.Module, loss_fn: LossFunction, batch: Batch, direction: Mapping[str, Tensor]
) -> Tensor:
    """Exact alignments [B] for any module, at the cost of about two forwards.

    Where examples are coupled (train-mode BatchNorm), ∇ℓ_i is the derivative of entry i of the
    batch's loss vector. See `Estimator` for the arguments.
    """
    _load_rules()
    values = {name: parameter.detach() for name, parameter in trainable(module).items()}
    with torch.no_grad(), untouched_generators(batch[0].device), forward_ad.dual_level():
        duals = {name: forward_ad.make_dual(value, direction[name]) for name, value in values.items()}
        losses_B, alignment_B = forward_ad.unpack_dual(losses_at(module, duals, loss_fn, batch))
    return torch.zeros_like(losses_B) if alignment_B is None else alignment_B


@cache
def _load_rules() -> None:
    """Let torch load its forward-mode rules once, without its warning about its own use of torch.jit."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
        with forward_ad.dual_level():
            forward_ad.make_dual(torch.zeros(1), torch.zeros(1))
