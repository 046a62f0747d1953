"""Functions that compute what a layer does: convolutions and normalisations, by the layer's rule.

A network that calls them itself (a weight that is standardised first, a convolution that pads as
TensorFlow does, a normalisation with an activation built in) is treated as one made of layers. What the
rule of a layer does not fit (a transposed convolution, a missing scale, an example without a dimension
for rows) is made of simpler functions.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex, cast

import torch
from torch import Tensor

from l2rw_ray.meta.alignment.layers.convolution import ConvolutionCall
from l2rw_ray.meta.alignment.layers.expression import (
    ParameterExpression,
    computed,
    is_activation,
    value_of,
)
from l2rw_ray.meta.alignment.layers.functions import constants_rule, function_rule, in_order, tensors_in
from l2rw_ray.meta.alignment.layers.interface import LayerCall
from l2rw_ray.meta.alignment.layers.layer_calls import recorded_function
from l2rw_ray.meta.alignment.layers.linear_gradients import recorded_operation
from l2rw_ray.meta.alignment.layers.normalisation import BatchNormCall, GroupNormCall, LayerNormCall
from l2rw_ray.meta.alignment.layers.recording import Recording

Function = Callable[..., Any]
_COUPLED = "a normalisation by the statistics of the batch couples its examples"
_EPS = 1e-5
"""Torch's default."""


@function_rule("conv1d", "conv2d", "conv3d")
def convolution(
    recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor:
    """Convolve activations with an expression, or add one as bias."""
    x, weight, bias, stride, padding, dilation, groups = in_order(
        "input weight bias stride padding dilation groups", args, kwargs
    )
    padding = 0 if padding is None else padding
    if x.ndim == weight.ndim and not isinstance(padding, str):
        options = {
            "stride": _for_each(x, 1 if stride is None else stride),
            "padding": _for_each(x, padding),
            "padding_mode": "zeros",
            "dilation": _for_each(x, 1 if dilation is None else dilation),
            "groups": 1 if groups is None else groups,
        }
        y = _by_layer(recording, ConvolutionCall, x, weight, bias, options)
        if y is not None:
            return y
    if not any(map(is_activation, tensors_in((args, kwargs)))):
        return cast("Tensor", computed(recording, function, args, kwargs))
    return linear_convolution(recording, function, args, kwargs)


def _for_each(x: Tensor, value: SupportsIndex | Sequence[int]) -> tuple[int, ...]:
    """Return an option of a convolution for each dimension that it moves along."""
    values = tuple(value) if isinstance(value, Sequence) else (operator.index(value),)
    return values * (x.ndim - 2) if len(values) == 1 else values


@function_rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def linear_convolution(
    recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor:
    """Convolve by a function that is linear in the weight."""
    named = {**dict(zip(("input", "weight", "bias"), args, strict=False)), **kwargs}
    rest = args[3:]
    x, weight, bias = named.pop("input"), named.pop("weight"), named.pop("bias", None)
    x = recording.activation(x) if isinstance(x, ParameterExpression) else x

    def convolved(x: Tensor, weight: Tensor) -> Tensor:
        y: Tensor = function(x, weight, None, *rest, **named)
        return y

    if isinstance(weight, ParameterExpression) and is_activation(x):
        y = recorded_operation(recording, x, weight, convolved)
    else:
        y = convolved(x, weight)
    return y if bias is None else y + bias.reshape(-1, *[1] * (y.ndim - 2))


@function_rule("layer_norm")
def layer_norm(
    recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Normalise without parameters, then scale and shift."""
    x, shape, weight, bias, eps, *_ = in_order("input normalized_shape weight bias eps", args, kwargs)
    eps = _EPS if eps is None else eps
    if not _is_widened(x):
        options = {"normalized_shape": tuple(shape), "eps": eps}
        y = _by_layer(recording, LayerNormCall, x, weight, bias, options)
        if y is not None:
            return y
    return _scaled(lambda weight, bias: function(x, shape, weight, bias, eps), weight, bias)


@function_rule("rms_norm")
def rms_norm(recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Normalise without parameters, then scale."""
    x, shape, weight, eps = in_order("input normalized_shape weight eps", args, kwargs)
    return _scaled(lambda weight, _: function(x, shape, weight, eps), weight, None)


@function_rule("group_norm")
def group_norm(
    recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Normalise without parameters, then scale and shift channels."""
    x, groups, weight, bias, eps, *_ = in_order("input num_groups weight bias eps", args, kwargs)
    eps = _EPS if eps is None else eps
    if not _is_widened(x):
        y = _by_layer(recording, GroupNormCall, x, weight, bias, {"num_groups": groups, "eps": eps})
        if y is not None:
            return y
    return _scaled(lambda weight, bias: function(x, groups, weight, bias, eps), weight, bias, by_channel_of=x)


@function_rule("batch_norm", "instance_norm")
def channel_norm(
    recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Normalise channels without parameters, then scale and shift them."""
    names = "input weight bias running_mean running_var training momentum eps cudnn_enabled"
    x, weight, bias, mean, variance, by_input, momentum, eps, *rest = in_order(names, args, kwargs)
    eps = _EPS if eps is None else eps
    if by_input and (function.__name__ == "batch_norm" or mean is not None):
        raise recording.module_refusal(_COUPLED)
    if function.__name__ == "batch_norm":
        options = {"running_mean": mean, "running_var": variance, "eps": eps}
        y = _by_layer(recording, BatchNormCall, x, weight, bias, options)
        if y is not None:
            return y

    def normalise(weight: Tensor | None, bias: Tensor | None) -> Tensor:
        return cast("Tensor", function(x, weight, bias, mean, variance, by_input, momentum, eps, *rest))

    return _scaled(normalise, weight, bias, by_channel_of=x)


@constants_rule("batch_norm")
def channel_norm_of_constants(
    recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Normalise data that depend on no parameter, by statistics that are not of the batch."""
    if in_order("input weight bias running_mean running_var training", args, kwargs)[5]:
        raise recording.module_refusal(_COUPLED)
    return function(*args, **kwargs)


def _is_widened(x: Tensor) -> bool:
    """Return whether autocast normalises in float32, and returns that."""
    return x.device.type == "cuda" and torch.is_autocast_enabled("cuda")


def _by_layer(
    recording: Recording,
    rule: type[LayerCall],
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    options: dict[str, Any],
) -> Tensor | None:
    """Apply a layer's rule; None where it does not fit, as where a weight comes from activations."""
    if weight is None or any(part is not None and is_activation(part) for part in (weight, bias)):
        return None
    return recorded_function(rule, x, {"weight": weight, "bias": bias}, options, recording)


def _by_channel(part: Tensor | None, like: Tensor) -> Tensor | None:
    return part if part is None or like.ndim < 2 else part.reshape(-1, *[1] * (like.ndim - 2))


def _scaled(
    normalise: Callable[[Tensor | None, Tensor | None], Tensor],
    weight: Tensor | None,
    bias: Tensor | None,
    *,
    by_channel_of: Tensor | None = None,
) -> Tensor:
    """Return torch's own fused value, with the gradient of the unfused one.

    Different rounding moves units across the kink of a ReLU, and gradients jump there.
    """
    scale, shift = (
        part if by_channel_of is None else _by_channel(part, by_channel_of) for part in (weight, bias)
    )
    scaled = normalise(None, None)
    scaled = scaled if scale is None else scaled * scale
    scaled = scaled if shift is None else scaled + shift
    with torch.no_grad():
        exact = normalise(*(None if part is None else value_of(part) for part in (weight, bias)))
    return cast("Tensor", _ValueOf.apply(scaled.to(exact.dtype), exact))


class _ValueOf(torch.autograd.Function):
    """The gradient of one tensor for the value of another."""

    @staticmethod
    def forward(ctx: Any, differentiated: Tensor, value: Tensor) -> Tensor:
        """Overwrite the differentiated tensor by the value."""
        ctx.mark_dirty(differentiated)
        return differentiated.copy_(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the gradient as it is."""
        return gradient, None
