"""Linear layers: the gradient of an example is Σ_t g_t a_tᵀ over its positions t.

With one position its alignment needs no gradient at all: either (D a)·g, or, where D is the meta
gradient of the same pass, the Gram form Σ_j (a·a_j)(g·g_j) over meta examples.

Shape suffixes: N examples, B train examples, T positions, I inputs, O outputs.
"""

from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.meta.alignment.layers.interface import (
    ExampleGradients,
    FormedGradients,
    LayerCall,
    row_dots,
    scale_rows,
)
from l2rw_ray.meta.alignment.layers.registry import rule_for


@rule_for(nn.Linear)
class LinearCall(LayerCall):
    """Linear on inputs of shape [N, …, I]."""

    layer: nn.Linear

    def could_form(self, x: Tensor) -> Tensor | None:
        """The weight, where there are several positions."""
        return self.layer.weight if x.ndim > 2 and self.layer.weight.requires_grad else None

    def forward(self, x: Tensor) -> Tensor:
        """The product itself."""
        y = functional.linear(x, self.layer.weight, self.layer.bias)
        self._x = x.to(y.dtype)
        return y

    def backward(self, gradient: Tensor, *, wanted: bool) -> tuple[Tensor | None, list[ExampleGradients]]:
        """See `LayerCall`."""
        layer, found = self.layer, list[ExampleGradients]()
        x_NTI, gradient_NTO = _with_positions(self._x), _with_positions(gradient)
        del self._x
        if layer.weight.requires_grad:
            if self.budget.grants(self):
                rows = gradient_NTO.transpose(1, 2) @ x_NTI
                found.append(FormedGradients(layer.weight, rows, self.train_size))
            else:
                found.append(FactoredLinear(layer.weight, x_NTI, gradient_NTO, self.train_size))
        if layer.bias is not None and layer.bias.requires_grad:
            found.append(FormedGradients(layer.bias, gradient_NTO.sum(dim=1), self.train_size))
        return gradient @ layer.weight.to(gradient.dtype) if wanted else None, found


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
        self._x, self._x_meta = x_NTI[:train_size], x_NTI[train_size:]
        self._gradient, self._gradient_meta = gradient_NTO[:train_size], gradient_NTO[train_size:]
        self.meta_gradient = self._gradient_meta.flatten(0, 1).T @ self._x_meta.flatten(0, 1)

    def alignments(self, direction: Tensor) -> Tensor:
        """One more forward of the layer."""
        return row_dots(self._x @ direction.T.to(self._x), self._gradient)

    def meta_alignments(self) -> Tensor | None:
        """With one position and few meta examples, two small products."""
        meta, (outputs, inputs) = len(self._x_meta), self.parameter.shape
        if self._x.shape[1] > 1 or meta * (inputs + outputs) >= inputs * outputs:
            return None
        inner = self._x.flatten(1) @ self._x_meta.flatten(1).T
        outer = self._gradient.flatten(1) @ self._gradient_meta.flatten(1).T
        return row_dots(inner, outer)

    def weighted(self, weights_B: Tensor) -> Tensor:
        """The weight gradient of scaled output gradients."""
        scaled = scale_rows(self._gradient, weights_B)
        return scaled.flatten(0, 1).T @ self._x.flatten(0, 1)


def _with_positions(x: Tensor) -> Tensor:
    """[N, …, F] as [N, T, F]."""
    return x.reshape(len(x), -1, x.shape[-1])
