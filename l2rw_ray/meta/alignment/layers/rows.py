"""Reading a tensor by examples: which of its dimensions goes over them.

Dimension 0 may hold several rows for each example (the windows of an image, the tokens of a text), those
of one example next to each other. Where it cannot, dimension 1 may be the batch (sequence first).

Shape suffixes: N examples, B train examples, K rows of each.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from l2rw_ray.meta.alignment.layers.interface import ExampleGradients, row_dots
from l2rw_ray.meta.alignment.row_weights import RowWeights
from l2rw_ray.meta.outer_sum import Part, formed


def row_axis(shape: Sequence[int], size: int) -> int | None:
    """Return the dimension that goes over N examples; None where no shape says so.

    Args:
        shape: Of a tensor.
        size: N.
    """
    if len(shape) and shape[0] and shape[0] % size == 0:
        return 0
    return 1 if len(shape) > 1 and shape[1] == size else None


def by_example(tensor: Tensor, axis: int, size: int) -> Tensor:
    """Reshape to [N, K, …].

    Args:
        tensor: Rows of examples.
        axis: Its `row_axis`.
        size: N.
    """
    if axis == 1:
        return tensor.movedim(1, 0)
    return tensor.reshape(size, len(tensor) // size, *tensor.shape[1:])


class BlockGradients:
    """Gradients of examples that have several rows each, by the gradients of the rows.

    Args:
        rows: Gradients by row, of a call with B·K train rows.
        train_size: B.
        count: K.
    """

    def __init__(self, rows: ExampleGradients, train_size: int, count: int) -> None:
        self.parameter = rows.parameter
        self._rows, self._train_size, self._count = rows, train_size, count

    def meta_gradient(self) -> Part:
        """Return the meta rows' sum."""
        return self._rows.meta_gradient()

    def alignments(self, direction: Part) -> Tensor:
        """Sum the rows' alignments by example."""
        return self._rows.alignments(direction).view(self._train_size, self._count).sum(dim=1)

    def weighted(self, weights: RowWeights) -> Tensor:
        """Sum the rows' gradients, each times its example's weight."""
        return self._rows.weighted(weights.repeated(self._count))


class RowGradients:
    """Example gradients with respect to a value that has rows of its own for each example.

    Args:
        parameter: The value, with N·K rows along `axis`.
        gradient: Gradient with respect to it, shaped the same.
        axis: Its `row_axis`.
        size: N.
        train_size: B.
    """

    def __init__(self, parameter: Tensor, gradient: Tensor, axis: int, size: int, train_size: int) -> None:
        self.parameter = parameter
        self._gradient, self._axis, self._size, self._train_size = gradient, axis, size, train_size

    def meta_gradient(self) -> Part:
        """Return the gradient where it is the meta examples', and zero elsewhere."""
        meta = torch.ones(self._size - self._train_size, device=self._gradient.device)
        return self._scaled(torch.cat([meta.new_zeros(self._train_size), meta]))

    def alignments(self, direction: Part) -> Tensor:
        """Compute inner products of the rows with the direction's."""
        parts = (formed(direction).to(self._gradient), self._gradient)
        return row_dots(*(by_example(part, self._axis, self._size) for part in parts))[: self._train_size]

    def weighted(self, weights: RowWeights) -> Tensor:
        """Scale the train examples' rows; those of the meta examples become zero."""
        meta = weights.values.new_zeros(self._size - self._train_size)
        return self._scaled(torch.cat([weights.values, meta]))

    def _scaled(self, factors_N: Tensor) -> Tensor:
        rows = by_example(self._gradient, self._axis, self._size)
        scaled = rows * factors_N.to(rows).view(-1, *[1] * (rows.ndim - 1))
        return scaled.movedim(0, 1) if self._axis == 1 else scaled.reshape(self._gradient.shape)
