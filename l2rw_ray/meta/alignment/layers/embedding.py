"""Embeddings: the gradient of an example is its output gradients, put where its indices say.

Shape suffixes: N examples, B train examples, T positions, E dimensions.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.meta.alignment.layers.interface import ExampleGradients, LayerCall, row_dots, scale_rows
from l2rw_ray.meta.alignment.layers.registry import rule_for
from l2rw_ray.meta.outer_sum import Part, formed


@rule_for(nn.Embedding)
class EmbeddingCall(LayerCall):
    """Embedding of indices of shape [N, …]."""

    layer: nn.Embedding

    @staticmethod
    def refusal(layer: nn.Module) -> str | None:
        """Return an option that writes weights, or makes gradients depend on other examples; or None."""
        for option in ("max_norm", "scale_grad_by_freq", "sparse"):
            if getattr(layer, option):
                return f"{option} is set"
        return None

    def forward(self, x: Tensor) -> Tensor:
        """Return the weight's rows, and keep the indices."""
        self._index = x
        return functional.embedding(x, self.layer.weight, self.layer.padding_idx)

    def backward(self, gradient: Tensor, *, wanted: bool) -> tuple[Tensor | None, list[ExampleGradients]]:
        """Return no input gradient, since indices have none, and the weight's gradients by example."""
        index_NT = self._index.reshape(len(self._index), -1)
        gradient_NTE = gradient.reshape(*index_NT.shape, -1)
        if self.layer.padding_idx is not None:
            gradient_NTE = gradient_NTE * (index_NT != self.layer.padding_idx).unsqueeze(-1)
        return None, [EmbeddedGradients(self.layer.weight, index_NT, gradient_NTE, self.train_size)]


class EmbeddedGradients:
    """Example gradients of an embedding's weight, held as indices and output gradients.

    Args:
        weight: The parameter.
        index_NT: Indices.
        gradient_NTE: Gradients with respect to the outputs.
        train_size: B.
    """

    def __init__(self, weight: Tensor, index_NT: Tensor, gradient_NTE: Tensor, train_size: int) -> None:
        self.parameter = weight
        self._index, self._gradient = index_NT[:train_size], gradient_NTE[:train_size]
        self._meta = index_NT[train_size:], gradient_NTE[train_size:]

    def meta_gradient(self) -> Part:
        """Put the meta examples' output gradients in place, and sum them."""
        return self._scattered(*self._meta)

    def alignments(self, direction: Part) -> Tensor:
        """Compute inner products of D's rows with the output gradients."""
        return row_dots(formed(direction)[self._index], self._gradient)

    def weighted(self, weights_B: Tensor) -> Tensor:
        """Put scaled output gradients in place, and sum them."""
        return self._scattered(self._index, scale_rows(self._gradient, weights_B))

    def _scattered(self, index_NT: Tensor, gradient_NTE: Tensor) -> Tensor:
        total = torch.zeros_like(self.parameter)
        return total.index_add_(0, index_NT.flatten(), gradient_NTE.flatten(0, 1).to(total))
