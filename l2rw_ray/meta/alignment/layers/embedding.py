"""Embeddings: the gradient of an example is its output gradients, put where its indices say.

Shape suffixes: N examples, B train examples, T positions, E dimensions.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.alignment.interface import REMEDY
from l2rw_ray.meta.alignment.layers.functions import constants_rule
from l2rw_ray.meta.alignment.layers.interface import ExampleGradients, LayerCall, row_dots
from l2rw_ray.meta.alignment.layers.recording import Recording
from l2rw_ray.meta.alignment.layers.registry import rule_for
from l2rw_ray.meta.alignment.row_weights import RowWeights
from l2rw_ray.meta.outer_sum import Part, formed


@rule_for(nn.Embedding)
class EmbeddingCall(LayerCall):
    """Embedding of indices of shape [N, …]."""

    layer: nn.Embedding
    is_positionwise = True

    @property
    def has_blocks(self) -> bool:  # type: ignore[override]
        """Whether the weight's gradient must be sparse.

        Other indices of so many rows may be positions; what is looked up stays an expression until it
        meets an activation, which shows what its rows are.
        """
        return bool(self.layer.sparse)

    @staticmethod
    def refusal(layer: nn.Module) -> str | None:
        """Return an option that writes weights, or makes gradients depend on other examples; or None."""
        return strange_option(layer)

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
        return None, [
            EmbeddedGradients(
                self.layer.weight, index_NT, gradient_NTE, self.train_size, is_sparse=self.layer.sparse
            )
        ]


def strange_option(layer: nn.Module) -> str | None:
    """Return an option that writes weights, or makes gradients depend on other examples; or None."""
    named = (option for option in ("max_norm", "scale_grad_by_freq") if getattr(layer, option))
    return next((f"{option} is set" for option in named), None)


class EmbeddedGradients:
    """Example gradients of an embedding's weight, held as indices and output gradients.

    Args:
        weight: The parameter.
        index_NT: Indices.
        gradient_NTE: Gradients with respect to the outputs.
        train_size: B.
        is_sparse: Whether the weighted gradient is to be a sparse tensor.
    """

    def __init__(
        self,
        weight: Tensor,
        index_NT: Tensor,
        gradient_NTE: Tensor,
        train_size: int,
        *,
        is_sparse: bool = False,
    ) -> None:
        self.parameter, self._is_sparse = weight, is_sparse
        self._index, self._gradient = index_NT[:train_size], gradient_NTE[:train_size]
        self._meta = index_NT[train_size:], gradient_NTE[train_size:]

    def meta_gradient(self) -> Part:
        """Put the meta examples' output gradients in place, and sum them."""
        return self._scattered(*self._meta)

    def alignments(self, direction: Part) -> Tensor:
        """Compute inner products of D's rows with the output gradients."""
        return row_dots(formed(direction)[self._index], self._gradient)

    def weighted(self, weights: RowWeights) -> Tensor:
        """Put scaled output gradients in place, and sum them."""
        scaled = weights.scaled(self._gradient)
        if not self._is_sparse:
            return self._scattered(self._index, scaled)
        return sparse_rows(self.parameter, self._index.flatten(), scaled.flatten(0, 1))

    def _scattered(self, index_NT: Tensor, gradient_NTE: Tensor) -> Tensor:
        total = torch.zeros_like(self.parameter)
        return total.index_add_(0, index_NT.flatten(), gradient_NTE.flatten(0, 1).to(total))


def sparse_rows(parameter: Tensor, index_T: Tensor, rows_TE: Tensor) -> Tensor:
    """Return a sparse gradient of an embedding's weight, as torch's own with `sparse=True`.

    Args:
        parameter: The weight, [V, E].
        index_T: Where rows go; they may repeat.
        rows_TE: Rows.
    """
    values = rows_TE.to(parameter.dtype)
    return torch.sparse_coo_tensor(index_T.unsqueeze(0), values, parameter.shape, check_invariants=False)


@constants_rule("embedding")
def embedding_of_constants(
    recording: Recording, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor:
    """Look up constant indices in a value; a sparse gradient would have no gradient itself."""
    if kwargs.get("max_norm") is not None or kwargs.get("scale_grad_by_freq"):
        problem = "functional.embedding with max_norm or scale_grad_by_freq has no gradient rule by example"
        raise UnsupportedModelError("model", "its embedding", problem, REMEDY)
    return function(*args, **{**kwargs, "sparse": False})  # type: ignore[no-any-return]


@constants_rule("embedding_bag")
def embedding_bag_of_constants(
    recording: Recording, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor:
    """Refuse it: unlike the layer, the function has no rule."""
    problem = "functional.embedding_bag has no gradient rule by example, other than that of nn.EmbeddingBag"
    raise UnsupportedModelError("model", "its embedding", problem, REMEDY)
