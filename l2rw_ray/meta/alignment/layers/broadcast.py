"""Functions that work on each row of an activation in the same way: parameters meet it as a copy per row."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from l2rw_ray.meta.alignment.layers.expression import ParameterExpression, is_activation
from l2rw_ray.meta.alignment.layers.functions import function_rule, in_order, is_in_place, mapped, tensors_in
from l2rw_ray.meta.alignment.layers.recording import Recording

Function = Callable[..., Any]
_ELEMENTWISE = (
    *("add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide", "truediv", "remainder"),
    *("pow", "float_power", "maximum", "minimum", "max", "min", "fmax", "fmin", "clamp", "clip", "where"),
    *("addcmul", "addcdiv", "lerp", "atan2", "arctan2", "hypot", "logaddexp", "logaddexp2", "xlogy"),
    *("copysign", "cosine_similarity", "pairwise_distance", "mse_loss", "l1_loss"),
    *("smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits", "scaled_dot_product_attention"),
    "broadcast_tensors",
)


@function_rule(*_ELEMENTWISE)
def broadcast(recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Apply a function whose arguments are broadcast against each other."""
    shape = _shape(tensors_in((args, kwargs)))

    def copies(tensor: Tensor) -> Tensor:
        return recording.copies(tensor, shape) if isinstance(tensor, ParameterExpression) else tensor

    return function(*mapped(args, copies), **mapped(kwargs, copies))


def _shape(tensors: list[Tensor]) -> torch.Size:
    """Return the shape that activations have together, with as many dimensions as any argument."""
    shapes = [tensor.shape for tensor in tensors if is_activation(tensor)]
    met = _broadcast_but_last_two(shapes)
    ndim = max(tensor.ndim for tensor in tensors)
    return torch.Size((*[1] * (ndim - len(met)), *met))


def _broadcast_but_last_two(shapes: list[torch.Size]) -> torch.Size:
    """Broadcast shapes, whose last two dimensions may be those of matrices and need not match."""
    try:
        return torch.Size(torch.broadcast_shapes(*shapes))
    except RuntimeError:
        longest = max(shapes, key=len)
        return torch.Size((*torch.broadcast_shapes(*(shape[:-2] for shape in shapes)), *longest[-2:]))


@function_rule("cat", "concat", "concatenate", "stack")
def joined(recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Join tensors along a dimension that does not go over examples."""
    tensors, dim = _join_arguments(*args, **kwargs)
    shape = next(tensor.shape for tensor in tensors if is_activation(tensor))
    met = next(tensor for tensor in tensors if isinstance(tensor, ParameterExpression))
    axis = recording.axis(shape, met)
    if function.__name__ != "stack" and dim % len(shape) == axis:
        if axis == 1 or shape[1:2] != (recording.size,):
            raise recording.refusal(met, "it is joined to activations along the dimension of examples")
        axis = 1
    parts = [
        recording.copies(tensor, shape, axis) if isinstance(tensor, ParameterExpression) else tensor
        for tensor in tensors
    ]
    return function(parts, dim)


def _join_arguments(tensors: Any, dim: int = 0, axis: int | None = None) -> tuple[list[Tensor], int]:
    return list(tensors), dim if axis is None else axis


@function_rule("setitem")
def written(recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Write into a part of each row of an activation."""
    target, index, value = args
    first = index[0] if isinstance(index, tuple) else index
    if not is_activation(target) or not (first is Ellipsis or _is_full(first)):
        met = next(t for t in tensors_in(args) if isinstance(t, ParameterExpression))
        raise recording.refusal(met, "it is written into some rows of another tensor")
    shape = target[index].shape
    function(target, index, recording.copies(value, shape))


def _is_full(index: Any) -> bool:
    return isinstance(index, slice) and index == slice(None)


@function_rule("masked_fill")
def masked_fill(
    recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor:
    """Put a parameter where a mask says so."""
    x, mask, value = in_order("self mask value", args, kwargs)
    filled = torch.where(mask, value, x)
    return x.copy_(filled) if is_in_place(function) else filled


@function_rule("cdist")
def distances(recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute the distances of each row's vectors to vectors that are parameters."""
    left, right, *rest = in_order("x1 x2 p", args, kwargs)
    if isinstance(left, ParameterExpression):
        return distances(recording, function, (right, left, *rest), {}).mT
    if left.ndim > 2:
        return broadcast(recording, function, (left, right, *rest), {})
    return broadcast(recording, function, (left.unsqueeze(1), right, *rest), {}).squeeze(1)


@function_rule("prelu")
def prelu(recording: Recording, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Scale what is negative, by channel."""
    x, weight = in_order("self weight", args, kwargs)
    slope = weight if x.ndim < 2 else weight.reshape(-1, *[1] * (x.ndim - 2))
    return torch.where(x > 0, x, x * slope)
