"""Train-mode BatchNorm for probes on CPUs, several times as fast as torch's own.

torch's CPU kernel goes through channels one after the other. Here GroupNorm's kernel, which does not,
gives each example's mean and variance by channel, and these give the batch's, as exactly.
"""

from collections.abc import Callable, Mapping
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.meta.evaluation.replaced import computes_as

_KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_MIN_POSITIONS = 16
"""Below it an example's own mean and variance say too little to be worth their while."""


def quick_batch_norms(module: nn.Module) -> Mapping[nn.Module, Callable[[Tensor], Tensor]]:
    """Return what to call instead of each train-mode BatchNorm; it writes no running statistics."""
    return {
        layer: _normalise(layer)
        for layer in module.modules()
        if isinstance(layer, _KINDS)
        and type(layer) in _KINDS
        and layer.training
        and computes_as(layer, type(layer))
        and _on_cpu(layer)
    }


def _on_cpu(layer: nn.Module) -> bool:
    return all(tensor.device.type == "cpu" for tensor in (*layer.parameters(), *layer.buffers()))


def _normalise(layer: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) -> Callable[[Tensor], Tensor]:
    forward = layer.forward

    def call(input: Tensor) -> Tensor:  # the name that layers give their argument
        positions = prod(input.shape[2:])
        if positions < _MIN_POSITIONS or not input.is_contiguous() or not input.is_floating_point():
            own: Tensor = forward(input)
            return own
        count, channels = input.shape[:2]
        _, mean_NC, rstd_NC = torch.ops.aten.native_group_norm(
            input, None, None, count, channels, positions, channels, layer.eps
        )
        mean_C = mean_NC.mean(dim=0)
        variance_C = rstd_NC.pow(-2).mean(dim=0) - layer.eps + (mean_NC - mean_C).square().mean(dim=0)
        return functional.batch_norm(
            input, mean_C, variance_C, layer.weight, layer.bias, False, 0.0, layer.eps
        )

    return call
