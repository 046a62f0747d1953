"""Example gradients of what a function is linear in, which are never formed.

With y = op(x, W), ⟨D, ∇ℓ_i⟩ is the inner product of row i of op(x, D) with that of the gradient with
respect to y, and the weighted gradient goes back once through op with scaled rows.

Shape suffixes: N examples of the pass, B train examples first; K rows of each.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from l2rw_ray.meta.alignment.layers.expression import ParameterExpression
from l2rw_ray.meta.alignment.layers.interface import ExampleGradients, row_dots
from l2rw_ray.meta.alignment.layers.recording import Recording
from l2rw_ray.meta.alignment.layers.rows import by_example
from l2rw_ray.meta.alignment.row_weights import RowWeights
from l2rw_ray.meta.outer_sum import Part, formed

Operation = Callable[[Tensor, Tensor], Tensor]
"""(input, value that it is linear in) to output."""


class LinearGradients:
    """Example gradients of a value that an operation is linear in.

    Args:
        parameter: The value.
        operation: Of an input and the value.
        x: The input, with N·K rows along its axis.
        gradient: Gradient with respect to the output, with N·K rows along its own.
        axes: Dimensions of input and output that go over examples.
        sizes: N and B.
    """

    def __init__(
        self,
        parameter: Tensor,
        operation: Operation,
        x: Tensor,
        gradient: Tensor,
        axes: tuple[int, int],
        sizes: tuple[int, int],
    ) -> None:
        self.parameter = parameter
        self._operation, self._axis, (size, self._train_size) = operation, axes[1], sizes
        kept = [
            (part.split(_split(part, axis, sizes), dim=axis))
            for part, axis in zip((x, gradient), axes, strict=True)
        ]
        (self._x, meta_x), (self._gradient, meta_gradient) = kept
        self._meta = (meta_x, meta_gradient) if size > self._train_size else None

    def meta_gradient(self) -> Part:
        """Go back through the operation with the meta rows, once."""
        if self._meta is None:
            return torch.zeros_like(self.parameter)
        x, gradient = self._meta
        self._meta = None
        return self._went_back(x, gradient)

    def alignments(self, direction: Part) -> Tensor:
        """Apply the operation to the direction."""
        moved = self._operation(self._x, formed(direction).to(self._x.dtype))
        parts = (moved, self._gradient.to(moved.dtype))
        return row_dots(*(by_example(part, self._axis, self._train_size) for part in parts))

    def weighted(self, weights: RowWeights) -> Tensor:
        """Go back through the operation with scaled rows."""
        gradient, shape = self._gradient, [1] * self._gradient.ndim
        shape[self._axis] = -1
        count = gradient.shape[self._axis] // self._train_size
        scaled = gradient * weights.values.to(gradient).repeat_interleave(count).view(shape)
        return self._went_back(self._x, scaled)

    @torch.enable_grad()
    def _went_back(self, x: Tensor, gradient: Tensor) -> Tensor:
        weight = self.parameter.detach().to(x.dtype).requires_grad_()
        y = self._operation(x, weight)
        (found,) = torch.autograd.grad(y, weight, gradient.to(y.dtype))
        return found.to(self.parameter.dtype)


def recorded_operation(
    recording: Recording, x: Tensor, weight: ParameterExpression, operation: Operation
) -> Tensor:
    """Return op(x, W) of an activation and an expression; record example gradients of the latter."""
    axis = recording.axis(x.shape, weight)
    y = operation(x, weight.value.detach())
    y_axis = recording.axis(y.shape, weight)
    owner, kept = recording.owner(weight), x.detach()
    sizes = recording.size, recording.train_size

    def noted(gradient: Tensor) -> ExampleGradients:
        return LinearGradients(owner, operation, kept, gradient, (axis, y_axis), sizes)

    recording.watch(y, noted)
    return y


def _split(part: Tensor, axis: int, sizes: tuple[int, int]) -> list[int]:
    size, train_size = sizes
    count = part.shape[axis] // size
    return [train_size * count, (size - train_size) * count]
