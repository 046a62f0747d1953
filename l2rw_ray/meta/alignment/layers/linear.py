"""Linear layers: the gradient of an example is Σ_t g_t a_tᵀ over its positions t.

With one position its alignment needs no gradient at all: either (D a)·g, or, where D is held as the
inputs and output gradients of meta examples, the Gram form Σ_j (a·a_j)(g·g_j) over them.

Shape suffixes: N examples, B train examples, T positions, I inputs, O outputs.
"""

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.meta.alignment.layers.interface import (
    ExampleGradients,
    FormedGradients,
    LayerCall,
    row_dots,
)
from l2rw_ray.meta.alignment.layers.registry import rule_for
from l2rw_ray.meta.alignment.row_weights import RowWeights
from l2rw_ray.meta.outer_sum import OuterSum, Part, formed

_PIECE_BYTES = 16 * 2**20
"""What one piece may take: for more than 32 MiB glibc asks the kernel for fresh pages each time, which takes
as long as the product."""


@rule_for(nn.Linear)
class LinearCall(LayerCall):
    """Linear on inputs of shape [N, …, I]."""

    layer: nn.Linear
    is_positionwise = True

    def could_form(self, x: Tensor) -> Tensor | None:
        """Return the weight, where there are several positions."""
        return self.layer.weight if x.ndim > 2 and self.layer.weight.requires_grad else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the product itself, and keep the input."""
        y = functional.linear(x, self.layer.weight, self.layer.bias)
        self._x = x.to(y.dtype)
        return y

    def backward(self, gradient: Tensor, *, wanted: bool) -> tuple[Tensor | None, list[ExampleGradients]]:
        """Return the gradient with respect to the input, and weight and bias gradients by example."""
        layer, found = self.layer, list[ExampleGradients]()
        x_NTI, gradient_NTO = _with_positions(self._x), _with_positions(gradient)
        del self._x
        if layer.weight.requires_grad:
            made = layer.weight, x_NTI, gradient_NTO, self.train_size
            found.append(FormedLinear(*made) if self.budget.grants(self) else FactoredLinear(*made))
        if layer.bias is not None and layer.bias.requires_grad:
            found.append(FormedGradients(layer.bias, gradient_NTO.sum(dim=1), self.train_size))
        return gradient @ layer.weight.to(gradient.dtype) if wanted else None, found


class FormedLinear:
    """Example gradients of a linear layer's weight that are formed, in pieces; the meta batch's, their sum.

    Args:
        weight: The parameter, [O, I].
        x_NTI: Inputs.
        gradient_NTO: Gradients with respect to the outputs.
        train_size: B.
    """

    def __init__(self, weight: Tensor, x_NTI: Tensor, gradient_NTO: Tensor, train_size: int) -> None:
        self.parameter = weight
        count = train_size
        if weight.device.type == "cpu":
            count = max(1, _PIECE_BYTES // (weight.numel() * x_NTI.element_size()))
        (x, meta_x), (gradient, meta_gradient) = (
            part.tensor_split([train_size]) for part in (x_NTI, gradient_NTO)
        )
        pairs = zip(x.split(count), gradient.split(count), strict=True)
        self._pieces = [(g.transpose(1, 2) @ x).flatten(1) for x, g in pairs]
        self._meta_gradient: Tensor | None = None
        if len(meta_x):
            self._meta_gradient = meta_gradient.flatten(0, 1).T @ meta_x.flatten(0, 1)

    def meta_gradient(self) -> Part:
        """Return the meta examples' sum, and give it up."""
        found, self._meta_gradient = self._meta_gradient, None
        return torch.zeros_like(self.parameter) if found is None else found.to(self.parameter.dtype)

    def alignments(self, direction: Part) -> Tensor:
        """Multiply the train examples' gradients by the direction."""
        along = formed(direction).reshape(-1).to(self._pieces[0])
        return torch.cat([piece @ along for piece in self._pieces])

    def weighted(self, weights: RowWeights) -> Tensor:
        """Sum the train examples' gradients, each times its weight."""
        split = weights.values.to(self._pieces[0]).split([len(piece) for piece in self._pieces])
        parts = zip(split, self._pieces, strict=True)
        total: Tensor = functools.reduce(torch.add, (weights @ piece for weights, piece in parts))
        return total.view_as(self.parameter)


class FactoredLinear:
    """Example gradients of a linear layer's weight, held as inputs and output gradients.

    Args:
        weight: The parameter, [O, I].
        x_NTI: Inputs.
        gradient_NTO: Gradients with respect to the outputs.
        train_size: B.
    """

    def __init__(self, weight: Tensor, x_NTI: Tensor, gradient_NTO: Tensor, train_size: int) -> None:
        self.parameter = weight
        self._x, self._gradient = x_NTI[:train_size], gradient_NTO[:train_size]
        self._meta: tuple[Tensor, Tensor] | None = (gradient_NTO[train_size:], x_NTI[train_size:])

    def share(self, inputs: Tensor, copy: Tensor) -> None:
        """Look at the train batch instead of at its copy in the pass, where that is the layer's input.

        Args:
            inputs: Those of the train batch, [B, …].
            copy: The same, followed by the meta batch's.
        """
        same_place = self._x.data_ptr() == copy.data_ptr() and self._x.numel() == inputs.numel()
        untouched = copy._version == 0 and inputs.dtype == self._x.dtype
        if same_place and untouched and inputs.is_contiguous() and self._x.is_contiguous():
            self._x = inputs.view(self._x.shape)

    def meta_gradient(self) -> Part:
        """Return the summed gradient; with one position and few meta examples, as their vectors."""
        assert self._meta is not None, "it is asked for once"
        outer = OuterSum(*(part.flatten(0, 1) for part in self._meta))
        meta, (outputs, inputs), kind = len(self._meta[0]), self.parameter.shape, self.parameter.dtype
        self._meta = None
        if self._x.shape[1] > 1 or meta * (inputs + outputs) >= inputs * outputs:
            return formed(outer).to(kind)
        # copies, or they would keep the activations that they are slices of
        return OuterSum(outer.outputs_MO.to(kind, copy=True), outer.inputs_MI.to(kind, copy=True))

    def alignments(self, direction: Part) -> Tensor:
        """Compute alignments by a product as large as the layer's or, in the Gram form, by two small ones."""
        if isinstance(direction, OuterSum):
            inner = self._x @ direction.inputs_MI.T.to(self._x)
            outer = self._gradient @ direction.outputs_MO.T.to(self._gradient)
            return row_dots(inner, outer)
        if self._x.shape[-1] < self._gradient.shape[-1]:
            return row_dots(self._gradient @ direction.to(self._gradient), self._x)
        return row_dots(self._x @ direction.T.to(self._x), self._gradient)

    def weighted(self, weights: RowWeights) -> Tensor:
        """Return the weight gradient of scaled output gradients, or scaled inputs where those are smaller."""
        x, gradient = weights.scaled_pair(self._x, self._gradient)
        return gradient.flatten(0, 1).T @ x.flatten(0, 1)


def _with_positions(x: Tensor) -> Tensor:
    """Reshape [N, …, F] to [N, T, F]."""
    return x.reshape(len(x), -1, x.shape[-1])
