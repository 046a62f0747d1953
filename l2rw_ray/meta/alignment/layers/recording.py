"""What a pass records where parameters are used: example gradients, and of which value.

Shape suffixes: N examples of the pass, B train examples first and meta examples after them.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.alignment.interface import REMEDY
from l2rw_ray.meta.alignment.layers.budget import FormingBudget
from l2rw_ray.meta.alignment.layers.custom_functions import custom_functions_on
from l2rw_ray.meta.alignment.layers.expression import ParameterExpression
from l2rw_ray.meta.alignment.layers.gradients import RecordedGradients, leaves_of
from l2rw_ray.meta.alignment.layers.interface import ExampleGradients, FormedGradients
from l2rw_ray.meta.alignment.layers.rows import RowGradients, by_example, row_axis
from l2rw_ray.meta.evaluation.precision import without_autocast

Place = tuple[nn.Module, str, nn.Parameter]
"""A module, and under which name it holds which parameter."""


class _Recorded(torch.autograd.Function):
    """A value that becomes an activation: its gradient goes to `note`, and no further."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, anchor: Tensor, note: Callable[[Tensor], None]) -> Tensor:
        ctx.note = note
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:
        ctx.note(gradient)
        return None, None, None


class RowOrder(Protocol):
    """Tells whether the rows of a tensor are still those of the examples in order."""

    def is_lost(self, tensor: Tensor) -> bool:
        """Return whether a tensor's rows are not those of the examples in order."""

    def paused(self) -> AbstractContextManager[object]:
        """Return a context in which functions are not followed, as inside rules, which keep rows in order."""


class Recording:
    """The uses of parameters in one pass.

    Args:
        module: The network.
        size: N.
        train_size: B.
        anchor: A scalar that requires a gradient: what autograd goes back to.
        budget: Of the memory for formed example gradients.
        order: Tells which rows functions have moved.

    Attributes:
        found: Gradients of the train examples, to be fetched before the pass is over.
        row_layout: Where the arguments of each call have rows of examples, as their shapes tell, in order.
        is_going_back: Whether the backward of the losses is under way.
        is_over: Whether the pass is.
    """

    def __init__(
        self,
        module: nn.Module,
        size: int,
        train_size: int,
        anchor: Tensor,
        budget: FormingBudget,
        order: RowOrder,
    ) -> None:
        self.size, self.train_size, self.anchor, self.budget = size, train_size, anchor, budget
        self.order = order
        self.found = RecordedGradients(train_size)
        self.is_going_back = self.is_over = False
        self._module = module
        self._names: dict[int, str] = {}
        self._used: set[int] = set()
        self._buffers: set[int] | None = None
        self.row_layout: list[Hashable] = []

    @contextmanager
    def expressed(
        self, parameters: Mapping[str, nn.Parameter], places: Iterable[Place], *, everywhere: bool
    ) -> Iterator[None]:
        """Let the module hold expressions instead of parameters, inside the block.

        Args:
            parameters: The trainable ones, by name.
            places: Where they are held.
            everywhere: Whether custom autograd functions, too, must see them as what they are.
        """
        made: dict[int, Any] = {}
        for name, parameter in parameters.items():
            leaf = parameter.detach().requires_grad_()
            made[id(parameter)] = ParameterExpression.of(leaf, self)
            self.found.computed.add_leaf(leaf, parameter)
            self._names[id(leaf)] = name
        try:
            for layer, name, parameter in places:
                layer._parameters[name] = made[id(parameter)]
            with custom_functions_on(everywhere):
                yield
        finally:
            self.is_over = True
            self.found = RecordedGradients(self.train_size)  # a hook may have left an expression behind
            for layer, name, parameter in places:
                layer._parameters[name] = parameter

    def add(self, part: ExampleGradients) -> None:
        """Take example gradients, during the backward of the losses.

        Raises:
            UnsupportedModelError: The model goes back in its own forward.
        """
        self.check_going_back()
        self.found.parts.append(part)

    def check_going_back(self) -> None:
        """Check that a backward is that of the losses.

        Raises:
            UnsupportedModelError: The model goes back in its own forward.
        """
        if not self.is_going_back:
            raise self.module_refusal("it computes gradients in its own forward")

    def module_refusal(self, problem: str) -> UnsupportedModelError:
        """Return the error that names the network, and what to use instead."""
        return UnsupportedModelError("model", type(self._module).__name__, problem, REMEDY)

    def owner(self, expression: ParameterExpression) -> Tensor:
        """Return what example gradients of an expression are gradients of: a parameter, or the value."""
        value = expression.value
        self._used.add(value.untyped_storage().data_ptr())
        return self.found.computed.owner(value)

    def has_used(self, value: Tensor) -> bool:
        """Return whether an expression with this memory has met activations."""
        return value.untyped_storage().data_ptr() in self._used

    def note_row_layout(self, called: Hashable, tensors: Iterable[Tensor]) -> None:
        """Remember where the arguments of a call have rows of examples.

        Args:
            called: A layer, or the name of a function.
            tensors: Its arguments.
        """
        self.row_layout.append((called, *map(self._rows_of, tensors)))

    def _rows_of(self, tensor: Tensor) -> Hashable:
        """Return what a tensor is, which dimension goes over examples, and whether each has several rows."""
        what: Hashable
        if isinstance(tensor, ParameterExpression):
            value = tensor.value
            what = self._names.get(id(value), tensor.is_of_batch)
        else:
            value, what = tensor, tensor.requires_grad
        axis = row_axis(value.shape, self.size)
        if axis is not None and torch.is_grad_enabled():
            self.check_order(tensor)
        return what, axis, axis == 0 and len(value) > self.size

    def check_order(self, tensor: Tensor) -> None:
        """Check that a tensor's rows are those of the examples in order.

        Raises:
            UnsupportedModelError: A function has moved them.
        """
        if self.order.is_lost(tensor):
            problem = "its forward has rows that are not those of the examples in order, equally many of each"
            raise self.module_refusal(problem)

    def is_of_batch(self, tensor: Tensor) -> bool:
        """Return whether a tensor seems to have rows of examples, and is none of the module's buffers."""
        if isinstance(tensor, ParameterExpression):
            return tensor.is_of_batch
        if tensor.numel() < 2 or row_axis(tensor.shape, self.size) is None:
            return False
        if self._buffers is None:
            self._buffers = {
                buffer.untyped_storage().data_ptr() for buffer in self._module.buffers() if buffer.numel()
            }
        return tensor.untyped_storage().data_ptr() not in self._buffers

    def is_batch(self, tensor: Tensor) -> bool:
        """Return whether a tensor seems to be data of the batch itself, with one row for each example."""
        is_constant = not isinstance(tensor, ParameterExpression) and not tensor.requires_grad
        return is_constant and tensor.shape[:1] == (self.size,) and self.is_of_batch(tensor)

    def axis(self, shape: torch.Size, expression: ParameterExpression) -> int:
        """Return which dimension goes over examples.

        Raises:
            UnsupportedModelError: None does.
        """
        found = row_axis(shape, self.size)
        if found is None:
            problem = f"it meets an activation of shape {tuple(shape)}, without rows for {self.size} examples"
            raise self.refusal(expression, problem)
        return found

    def activation(self, expression: ParameterExpression, axis: int | None = None) -> Tensor:
        """Make an expression that has rows of examples an activation.

        Args:
            expression: Its value has rows along an axis.
            axis: Which; None to take it from the shape.
        """
        value = expression.value
        axis = self.axis(value.shape, expression) if axis is None else axis
        known: dict[tuple[int, int], Tensor] = vars(expression).setdefault("activations", {})
        key = (axis, value._version)
        if key not in known:
            owner, size, train_size = self.owner(expression), self.size, self.train_size
            known[key] = self.recorded(
                value.detach(), lambda gradient: RowGradients(owner, gradient, axis, size, train_size)
            )
        return known[key]

    def copies(self, expression: ParameterExpression, shape: torch.Size, axis: int | None = None) -> Tensor:
        """Make an expression an activation with a copy for each row of another one.

        Args:
            expression: Broadcast against the activation.
            shape: Of the activation, with leading ones where the expression has more dimensions.
            axis: Which dimension goes over examples; None to take it from the shape.

        Returns:
            Either the expression's own rows, or copies of it without memory of their own.
        """
        value, size = expression.value, self.size
        axis = self.axis(shape, expression) if axis is None else axis
        own = (*[1] * (len(shape) - value.ndim), *value.shape)
        rows = shape[axis]
        if own[axis] == rows > 1:
            return self.activation(expression, axis - len(own) + value.ndim)
        if own[axis] != 1:
            raise self.refusal(expression, f"its {own[axis]} rows meet {rows} rows of activations")
        owner, train_size = self.owner(expression), self.train_size

        def noted(gradient: Tensor) -> ExampleGradients:
            by_row = by_example(gradient, axis, size)
            by_row = by_row.sum(dim=1) if axis == 0 else by_row
            return FormedGradients(owner, by_row.reshape(size, -1), train_size)

        spread = value.detach().reshape(own).expand(*own[:axis], rows, *own[axis + 1 :])
        return self.recorded(spread, noted)

    def recorded(self, value: Tensor, noted: Callable[[Tensor], ExampleGradients]) -> Tensor:
        """Return a value as an activation whose gradient is made into example gradients.

        Args:
            value: Detached.
            noted: Makes them, with autocast disabled.
        """
        result: Tensor = _Recorded.apply(value, self.anchor, self._noting(noted))
        return result

    def watch(self, output: Tensor, noted: Callable[[Tensor], ExampleGradients]) -> None:
        """Make the gradient of an activation into example gradients, too.

        Args:
            output: The activation.
            noted: Makes them, with autocast disabled.
        """
        output.register_hook(self._noting(noted))

    def _noting(self, noted: Callable[[Tensor], ExampleGradients]) -> Callable[[Tensor], None]:
        def note(gradient: Tensor) -> None:
            with torch.no_grad(), without_autocast(gradient.device.type):
                self.add(noted(gradient))

        return note

    def refusal(self, expression: ParameterExpression, problem: str) -> UnsupportedModelError:
        """Return the error that names the parameters of an expression, and what to use instead."""
        leaves = leaves_of([expression.value])
        names = [name for leaf in leaves if (name := self._names.get(id(leaf)))]
        return UnsupportedModelError("model", ", ".join(names) or "its parameters", problem, REMEDY)
