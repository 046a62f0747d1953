"""What the gradient rule of one layer type must say.

Shape suffixes: N examples of the pass, train rows first and meta rows after them; B train rows;
P elements of a parameter.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from l2rw_ray.meta.alignment.layers.budget import FormingBudget
from l2rw_ray.meta.alignment.row_weights import RowWeights
from l2rw_ray.meta.outer_sum import Part, formed


class ExampleGradients(Protocol):
    """Gradients of the train examples' losses with respect to one parameter, not necessarily formed.

    Attributes:
        parameter: The parameter, or a value computed from parameters.
    """

    parameter: Tensor

    def meta_gradient(self) -> Part:
        """Return the summed meta losses' gradient, in the parameter's precision; called once at most."""

    def alignments(self, direction: Part) -> Tensor:
        """Compute ⟨direction, gradient of example i⟩, [B]."""

    def weighted(self, weights: RowWeights) -> Tensor:
        """Compute Σ w_i (gradient of example i), shaped like the parameter."""


class FormedGradients:
    """Example gradients that are held as they are.

    Args:
        parameter: The parameter.
        rows_NP: Gradient of each example's loss, [N, …].
        train_size: B.
    """

    def __init__(self, parameter: Tensor, rows_NP: Tensor, train_size: int) -> None:
        self.parameter = parameter
        rows_NP = rows_NP.reshape(len(rows_NP), -1)
        self._rows_BP, self._meta_rows = rows_NP[:train_size], rows_NP[train_size:]

    def meta_gradient(self) -> Part:
        """Return the sum of the meta examples' rows."""
        return self._meta_rows.sum(dim=0).view_as(self.parameter).to(self.parameter.dtype)

    def alignments(self, direction: Part) -> Tensor:
        """Multiply the train examples' rows by the direction."""
        return self._rows_BP @ formed(direction).reshape(-1).to(self._rows_BP)

    def weighted(self, weights: RowWeights) -> Tensor:
        """Sum the train examples' rows, each times its weight."""
        return (weights.values.to(self._rows_BP) @ self._rows_BP).view_as(self.parameter)


class LayerCall(ABC):
    """One call of one layer within a pass: its forward, its backward and its examples' gradients.

    Args:
        layer: The module, holding its parameters themselves.
        train_size: B; further rows belong to the meta batch.
        budget: Of the pass.

    Attributes:
        is_positionwise: Whether the layer does the same at each position, so that its input may be
            [N, …, F] with any dimensions in between.
        has_blocks: Whether an input that has several rows for each example is treated by the rule.
        has_ragged_rows: Whether the input's own dimensions do not go over rows.
    """

    is_positionwise: ClassVar[bool] = False
    has_ragged_rows: bool = False
    has_blocks: bool = True

    def __init__(self, layer: nn.Module, train_size: int, budget: FormingBudget) -> None:
        self.layer, self.train_size, self.budget = layer, train_size, budget

    @staticmethod
    def refusal(layer: nn.Module) -> str | None:
        """Return why a layer with these options cannot be treated; None when it can."""
        return None

    def prepare(self, x: Tensor) -> Tensor:
        """Change the input before the layer proper, with a graph of its own; here it stays as it is."""
        return x

    def row_shape(self, x: Tensor) -> Sequence[int]:
        """Return the dimensions of which one goes over rows: all but the features."""
        return x.shape[:-1] if self.is_positionwise and x.is_floating_point() else x.shape

    def take(self, *others: Any, **named: Any) -> None:
        """Take the call's arguments but for the input; the layer type has none unless this says so."""
        if others or named:
            raise TypeError(f"{type(self.layer).__name__} takes an input alone")

    def could_form(self, x: Tensor) -> Tensor | None:
        """Return the parameter whose example gradients had better be formed, memory permitting; or None."""
        return None

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the output, without a graph, and keep what `backward` needs."""

    @abstractmethod
    def backward(self, gradient: Tensor, *, wanted: bool) -> tuple[Tensor | None, list[ExampleGradients]]:
        """Go back through the layer, once.

        Args:
            gradient: Gradient with respect to the output.
            wanted: Whether that with respect to the input is.

        Returns:
            The latter, and the example gradients of each trainable parameter.
        """

    @property
    def trained(self) -> list[str]:
        """Names of the layer's own trainable parameters."""
        named = self.layer.named_parameters(recurse=False, remove_duplicate=False)
        return [name for name, p in named if p.requires_grad]


def row_dots(left: Tensor, right: Tensor) -> Tensor:
    """Compute the inner product of each row with its counterpart, accumulated in float32 or better."""
    kind = torch.promote_types(left.dtype, torch.float32)
    dots: Tensor = torch.linalg.vecdot(left.flatten(1).to(kind), right.flatten(1).to(kind))
    return dots
