"""Calling a layer that has a rule of its own: on rows of examples by the rule, on anything else as it is.

Shape suffixes: N examples of the pass, B train examples first; K rows of each.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from l2rw_ray.meta.alignment.layers.expression import ParameterExpression
from l2rw_ray.meta.alignment.layers.interface import LayerCall
from l2rw_ray.meta.alignment.layers.recording import Recording
from l2rw_ray.meta.alignment.layers.rows import BlockGradients, row_axis
from l2rw_ray.meta.evaluation.precision import without_autocast


class _Hook(torch.autograd.Function):
    """Identity to autograd, but for what `call` does with the gradient that comes back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, run: "_Run") -> Tensor:
        ctx.run = run
        return run.forward(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        return ctx.run.backward(gradient, wanted=ctx.needs_input_grad[0]), None, None


class _Run:
    """A layer's call within a pass, and where its gradients go.

    Args:
        call: The call, with B·K train rows.
        recording: That of the pass.
        count: K.
    """

    def __init__(self, call: LayerCall, recording: Recording, count: int) -> None:
        self._call: LayerCall | None = call
        self._recording, self._count = recording, count

    def forward(self, x: Tensor) -> Tensor:
        call = self._call
        assert call is not None, "it goes forward before it goes back"
        with self._recording.order.paused():
            x = x.detach()  # what it keeps must not keep the graph below
            self._recording.budget.note(call, x, call.could_form(x))
            return call.forward(x)

    def backward(self, gradient: Tensor, *, wanted: bool) -> Tensor | None:
        recording = self._recording
        recording.check_going_back()
        call, self._call = self._call, None  # what it has kept goes with it
        if call is None:
            raise recording.module_refusal("its backward reaches a layer twice")
        with without_autocast(gradient.device.type):
            below, found = call.backward(gradient, wanted=wanted)
        for part in found:
            is_block = self._count > 1
            recording.add(BlockGradients(part, recording.train_size, self._count) if is_block else part)
        return below


def recorded_call(layer: nn.Module, rule: type[LayerCall], recording: Recording) -> Callable[..., Tensor]:
    """Return what to call instead of a layer's forward; to be made while it holds its parameters.

    Args:
        layer: The layer.
        rule: Its rule.
        recording: That of the pass.
    """
    plain, forward = _holding_parameters(layer), type(layer).forward

    def call(input: Tensor, *others: Any, **named: Any) -> Tensor:  # the name that layers give their argument
        made = rule(plain, recording.train_size, recording.budget)
        made.take(*others, **named)
        with recording.order.paused():
            rows = _rows(made, input, recording)
            recording.note_row_layout((id(layer), rows is None), [input])
        if rows is None:
            return forward(layer, input, *others, **named)  # type: ignore[no-any-return]
        x = recording.activation(input, rows[0]) if isinstance(input, ParameterExpression) else input
        return _by_rule(made, x, *rows, recording)

    return call


def recorded_function(
    rule: type[LayerCall],
    x: Tensor,
    parameters: Mapping[str, Tensor | None],
    options: Mapping[str, Any],
    recording: Recording,
) -> Tensor | None:
    """Apply a function by the rule of a layer that computes the same; None where the rule does not fit.

    Args:
        rule: The rule.
        x: An activation.
        parameters: What the layer would hold: expressions, tensors that are not trained, or None.
        options: Its other attributes, as far as the rule reads them.
        recording: That of the pass.
    """
    layer = nn.Module()
    vars(layer).update(options)
    call = rule(layer, recording.train_size, recording.budget)
    with recording.order.paused():
        rows = _rows(call, x, recording)
    if rows is None:
        return None
    held: dict[str, Any] = layer._parameters  # values need not be parameters, which setattr would insist on
    for name, part in parameters.items():
        held[name] = recording.owner(part) if isinstance(part, ParameterExpression) else part
    return _by_rule(call, x, *rows, recording)


def _rows(call: LayerCall, x: Tensor, recording: Recording) -> tuple[int, int] | None:
    """Return an input's dimension of rows and the rows of an example; None where the rule cannot read it."""
    shape = call.row_shape(x)
    axis = row_axis(shape, recording.size)
    count = shape[0] // recording.size if axis == 0 else 1
    is_readable = call.is_positionwise if axis == 1 else count == 1 or call.has_blocks
    if axis is None or not is_readable or not _is_by_rule(x, call, recording):
        return None
    return axis, count


def _is_by_rule(x: Tensor, call: LayerCall, recording: Recording) -> bool:
    """Return whether an input with rows is one of the batch, and autograd is on."""
    is_of_batch = call.has_ragged_rows or x.requires_grad or recording.is_of_batch(x)
    if isinstance(x, ParameterExpression):
        is_of_batch = x.is_of_batch
    return is_of_batch and torch.is_grad_enabled()


def _by_rule(call: LayerCall, x: Tensor, axis: int, count: int, recording: Recording) -> Tensor:
    """Call a layer by its rule on [N·K, …], or on [T, N, …]."""
    if axis == 1:
        return _by_rule(call, x.transpose(0, 1), 0, 1, recording).transpose(0, 1).contiguous()
    if call.is_positionwise and count > 1:
        return _by_rule(call, x.unflatten(0, (recording.size, count)), 0, 1, recording).flatten(0, 1)
    call.train_size = recording.train_size * count
    y: Tensor = _Hook.apply(call.prepare(x), recording.anchor, _Run(call, recording, count))
    return y


def _holding_parameters(layer: nn.Module) -> nn.Module:
    """Return a layer that shares everything with another one, but for what it holds later as parameters."""
    twin: nn.Module = object.__new__(type(layer))
    vars(twin).update(vars(layer), _parameters=dict(layer._parameters))
    return twin
