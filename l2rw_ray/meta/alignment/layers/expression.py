"""Values computed from parameters alone, which remember how.

While a pass lasts, modules hold their trainable parameters as expressions. A function of expressions and
constants gives another expression, by a small autograd graph of its own. Where an expression meets an
activation, the pass's `Recording` takes the gradient of each example, by the rule of the function in
which they meet.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from l2rw_ray.meta.alignment.layers.functions import (
    function_name,
    is_in_place,
    is_in_python,
    mapped,
    opened,
    rule_of,
    rule_of_constants,
    tensors_in,
)

if TYPE_CHECKING:
    from l2rw_ray.meta.alignment.layers.recording import Recording

_BEGINNINGS = ("linear", "matmul", "mm", "addmm", "bilinear", "einsum", "conv1d", "conv2d", "conv3d")
"""Functions whose result is an activation where it depends on the batch; without them everything after would
stay an expression."""
_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
"""Functions whose result is an activation where they are given the batch itself."""
_SHAPES_ONLY = ("to", "type_as", "expand_as", "view_as", "reshape_as")
_ATTENTION = "multi_head_attention_forward"
"""What is written in Python but has a rule of its own, since it puts the batch second."""
_BACKWARDS = ("grad", "backward")
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "isclose", "allclose", "equal")


class ParameterExpression(Tensor):
    """A value computed from parameters and constants.

    As a tensor it leads autograd to the same leaves as its value, so that a use which no rule has seen
    (in a custom autograd function, in C++) is found at the end of the pass.

    Attributes:
        value: The value itself, an ordinary tensor whose graph ends in copies of the parameters.
        recording: That of the pass.
        is_of_batch: Whether a constant in it had a row for each example.
    """

    value: Tensor
    recording: "Recording"
    is_of_batch: bool

    @classmethod
    def of(cls, value: Tensor, recording: "Recording", *, is_of_batch: bool = False) -> Self:
        """Return the expression of a value."""
        made = value.as_subclass(cls)
        made.value, made.recording, made.is_of_batch = value, recording, is_of_batch
        return made

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Apply a function of torch to arguments of which some are expressions."""
        kwargs = kwargs or {}
        tensors = tensors_in((args, kwargs))
        recording = next(tensor.recording for tensor in tensors if isinstance(tensor, cls))
        if recording.is_over or not torch.is_grad_enabled():
            return mapped(func(*mapped(args, value_of), **mapped(kwargs, value_of)), _constant)
        name = function_name(func)
        recording.note_row_layout(name, tensors)
        if any(is_activation(tensor) for tensor in tensors):
            return _met(recording, func, args, kwargs)
        if name in _BEGINNINGS and _are_batch_and_weights(tensors):
            return _met(recording, func, mapped(args, _as_activation), mapped(kwargs, _as_activation))
        if name in _CONVOLUTIONS and any(map(recording.is_batch, tensors)):
            return _met(recording, func, args, kwargs)
        return computed(recording, func, args, kwargs)


def is_activation(tensor: Tensor) -> bool:
    """Return whether a tensor is one that a gradient by example flows to."""
    return not isinstance(tensor, ParameterExpression) and tensor.requires_grad


def value_of(tensor: Tensor) -> Tensor:
    """Return the value of an expression; any other tensor as it is."""
    return tensor.value if isinstance(tensor, ParameterExpression) else tensor


def _met(
    recording: "Recording", function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Apply a function in which expressions and activations meet, by its rule.

    Raises:
        UnsupportedModelError: It has none.
    """
    name = function_name(function)
    rule = rule_of(name)
    met = next(tensor for tensor in tensors_in((args, kwargs)) if isinstance(tensor, ParameterExpression))
    if name in _BACKWARDS:
        raise recording.module_refusal("it computes gradients in its own forward")
    if is_in_place(function) and isinstance(args[0], ParameterExpression):
        raise recording.refusal(met, f"{name} writes activations into it")
    if is_in_python(function) and function.__name__ != _ATTENTION:
        return opened(function)(*args, **kwargs)
    if rule is not None:
        return rule(recording, function, args, kwargs)
    if name in _COMPARISONS or (name in _SHAPES_ONLY and not isinstance(args[0], ParameterExpression)):
        return function(*mapped(args, _constant), **mapped(kwargs, _constant))
    if name in _SHAPES_ONLY:
        return computed(recording, function, (args[0], *mapped(args[1:], Tensor.detach)), kwargs)
    raise recording.refusal(met, f"{name} of it and activations has no gradient rule by example")


def computed(
    recording: "Recording", function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Apply a function of expressions and constants, to give expressions."""
    tensors = tensors_in((args, kwargs))
    if is_in_place(function):
        _check_writing(recording, function, args[0], tensors)
    rule, plain, named = (
        rule_of_constants(function_name(function)),
        mapped(args, value_of),
        mapped(kwargs, value_of),
    )
    with saved_tensors_hooks(_itself, _itself):  # an activation checkpoint's would drop what it is made of
        result = function(*plain, **named) if rule is None else rule(recording, function, plain, named)
    known = {id(value_of(tensor)): tensor for tensor in tensors}

    def wrapped(value: Tensor) -> Tensor:
        if id(value) in known:
            return known[id(value)]
        if not value.requires_grad:
            return value
        is_of_batch = any(recording.is_of_batch(tensor) for tensor in tensors)
        return ParameterExpression.of(value, recording, is_of_batch=is_of_batch)

    return mapped(result, wrapped)


def _check_writing(
    recording: "Recording", function: Callable[..., Any], target: Any, tensors: list[Tensor]
) -> None:
    written = next(tensor for tensor in tensors if isinstance(tensor, ParameterExpression))
    if not isinstance(target, ParameterExpression):
        raise recording.refusal(written, f"{function_name(function)} writes it into another tensor")
    if recording.has_used(target.value):
        raise recording.refusal(written, f"{function_name(function)} writes it after its use")


def _are_batch_and_weights(tensors: list[Tensor]) -> bool:
    kinds = {tensor.is_of_batch for tensor in tensors if isinstance(tensor, ParameterExpression)}
    return len(kinds) > 1


def _as_activation(tensor: Tensor) -> Tensor:
    if isinstance(tensor, ParameterExpression) and tensor.is_of_batch:
        return tensor.recording.activation(tensor)
    return tensor


def _constant(tensor: Tensor) -> Tensor:
    value = value_of(tensor)
    return value.detach() if value.requires_grad else value


def _itself(tensor: Tensor) -> Tensor:
    return tensor
