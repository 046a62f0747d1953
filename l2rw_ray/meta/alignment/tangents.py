"""Fast tangents of common layers for forward mode.

torch's own rules for normalisations are decomposed and slow, and with gradients on they record a graph of
the tangents too, which is never gone back through. Here a layer's output keeps its ordinary graph, and
its tangent is computed beside it without one.

A normalisation's Jacobian with respect to its input (before scale and shift) is symmetric, so its
tangent is its own backward.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional

from l2rw_ray.meta.evaluation.replaced import computes_as, unexpected_parameter

Tangent = Callable[[Any, Tensor, Tensor, Tensor | None, Mapping[str, Tensor]], Tensor]
"""(layer, output, input, its tangent, tangents of the layer's own parameters) to the output's tangent."""
_RULES: dict[type[nn.Module], Tangent] = {}


def _rule_for(*kinds: type[nn.Module]) -> Callable[[Tangent], Tangent]:
    def add(rule: Tangent) -> Tangent:
        _RULES.update(dict.fromkeys(kinds, rule))
        return rule

    return add


@_rule_for(nn.Linear)
def _linear(
    layer: nn.Linear, y: Tensor, x: Tensor, x_tangent: Tensor | None, along: Mapping[str, Tensor]
) -> Tensor:
    bias = along.get("bias")
    if x_tangent is None:
        return functional.linear(x, along.get("weight", torch.zeros_like(layer.weight)), bias)
    carried = functional.linear(x_tangent, layer.weight, bias)
    return carried + functional.linear(x, along["weight"]) if "weight" in along else carried


@_rule_for(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def _convolution(
    layer: nn.Conv2d, y: Tensor, x: Tensor, x_tangent: Tensor | None, along: Mapping[str, Tensor]
) -> Tensor:
    bias = along.get("bias")
    if x_tangent is None:
        weight = along.get("weight", torch.zeros_like(layer.weight))
        carried: Tensor = layer._conv_forward(x, weight, bias)
    else:
        carried = layer._conv_forward(x_tangent, layer.weight, bias)
        if "weight" in along:
            carried += layer._conv_forward(x, along["weight"], None)
    return carried


@_rule_for(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
def _batch_norm(
    layer: nn.BatchNorm2d, y: Tensor, x: Tensor, x_tangent: Tensor | None, along: Mapping[str, Tensor]
) -> Tensor:
    by_batch = layer.training or layer.running_mean is None
    if by_batch:
        mean, rstd = _batch_statistics(y, x, layer.eps)
    else:
        assert layer.running_mean is not None
        assert layer.running_var is not None
        mean, rstd = layer.running_mean, (layer.running_var + layer.eps).rsqrt()
    variance = rstd.pow(-2) - layer.eps
    scale, shift = along.get("weight"), along.get("bias")
    moved: Tensor | None = None
    if scale is not None or shift is not None:
        scale = torch.zeros_like(mean) if scale is None else scale
        moved = functional.batch_norm(x, mean, variance, scale, shift, False, 0.0, layer.eps)
    if x_tangent is None:
        return torch.zeros_like(x) if moved is None else moved
    # scale and normalisation commute, channel by channel
    carried: Tensor
    carried, _, _ = torch.ops.aten.native_batch_norm_backward(
        *(x_tangent, x, layer.weight, mean, variance, mean, rstd),
        *(by_batch, layer.eps, (True, False, False)),
    )
    return carried if moved is None else moved.add_(carried)


@_rule_for(nn.GroupNorm)
def _group_norm(
    layer: nn.GroupNorm, y: Tensor, x: Tensor, x_tangent: Tensor | None, along: Mapping[str, Tensor]
) -> Tensor:
    scale, shift = along.get("weight"), along.get("bias")
    moved: Tensor | None = None
    if scale is not None or shift is not None:
        scale = torch.zeros_like(layer.weight) if scale is None else scale
        moved = functional.group_norm(x, layer.num_groups, scale, shift, layer.eps)
    if x_tangent is None:
        return torch.zeros_like(x) if moved is None else moved
    x = x.contiguous()
    shape = (x.shape[0], x.shape[1], prod(x.shape[2:]), layer.num_groups)
    _, mean, rstd = torch.ops.aten.native_group_norm(x, None, None, *shape, layer.eps)
    carried: Tensor
    carried, _, _ = torch.ops.aten.native_group_norm_backward(
        x_tangent.contiguous(), x, mean, rstd, None, *shape, (True, False, False)
    )
    if layer.weight is not None:
        carried *= layer.weight.view(1, -1, *[1] * (x.ndim - 2))
    return carried if moved is None else moved.add_(carried)


def _batch_statistics(y: Tensor, x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return mean and reciprocal deviation of a batch; those that the forward has kept, where it tells."""
    node: Any = y.grad_fn
    if type(node).__name__ == "NativeBatchNormBackward0":
        return node._saved_result1, node._saved_result2
    _, mean, rstd = torch.native_batch_norm(x, None, None, None, None, True, 0.0, eps)
    return mean, rstd


def carrying_layers(module: nn.Module) -> Mapping[nn.Module, Callable[[Tensor], Tensor]]:
    """Return what to call instead of each layer whose type has a rule, at the current dual level.

    Args:
        module: The network; its parameters are dual where they are trained.
    """
    return {
        layer: _carrying(layer)
        for layer in module.modules()
        if type(layer) in _RULES and computes_as(layer, type(layer)) and unexpected_parameter(layer) is None
    }


def _carrying(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    forward, rule = layer.forward, _RULES[type(layer)]

    def call(input: Tensor) -> Tensor:  # the name that layers give their argument
        x, x_tangent = forward_ad.unpack_dual(input)
        duals = {name: value for name, value in layer._parameters.items() if value is not None}
        parts = {name: forward_ad.unpack_dual(value) for name, value in duals.items()}
        along = {name: part.tangent for name, part in parts.items() if part.tangent is not None}
        try:
            layer._parameters.update({name: part.primal for name, part in parts.items()})
            y: Tensor = forward(x)
            if x_tangent is None and not along:
                return y
            with torch.no_grad():
                carried = None if x_tangent is None else x_tangent.detach()
                tangent = rule(layer, y, x.detach(), carried, along)
        finally:
            layer._parameters.update(duals)
        dual: Tensor = forward_ad.make_dual(y, tangent.to(y.dtype))
        return dual

    return call
