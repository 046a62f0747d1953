"""Embedding bags: sums or means of an embedding's rows, one bag after another.

Shape suffixes: N examples, B train examples, T entries of all bags together, E dimensions.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.alignment.interface import REMEDY
from l2rw_ray.meta.alignment.layers.embedding import sparse_rows, strange_option
from l2rw_ray.meta.alignment.layers.interface import ExampleGradients, LayerCall, row_dots
from l2rw_ray.meta.alignment.layers.registry import rule_for
from l2rw_ray.meta.alignment.row_weights import RowWeights
from l2rw_ray.meta.outer_sum import Part, formed


@rule_for(nn.EmbeddingBag)
class EmbeddingBagCall(LayerCall):
    """EmbeddingBag of as many bags as there are rows of examples."""

    layer: nn.EmbeddingBag

    @staticmethod
    def refusal(layer: nn.Module) -> str | None:
        """Return an option without a rule; or None."""
        return "mode='max' has no rule" if layer.mode == "max" else strange_option(layer)

    def take(
        self, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None, **named: Any
    ) -> None:
        """Take where bags begin, and the entries' weights."""
        super().take(**named)
        if per_sample_weights is not None and per_sample_weights.requires_grad:
            problem = "its per_sample_weights are trained, too"
            raise UnsupportedModelError("model", type(self.layer).__name__, problem, REMEDY)
        self._offsets, self._factors = offsets, per_sample_weights
        self.has_ragged_rows = offsets is not None

    def row_shape(self, x: Tensor) -> Sequence[int]:
        """Return the number of bags."""
        if self._offsets is None:
            return x.shape
        return (len(self._offsets) - int(self.layer.include_last_offset),)

    def forward(self, x: Tensor) -> Tensor:
        """Return the bags' sums or means, and keep which entries are in which bag, and their share."""
        layer, offsets = self.layer, self._offsets
        y = functional.embedding_bag(
            x,
            layer.weight,
            offsets,
            mode=layer.mode,
            per_sample_weights=self._factors,
            include_last_offset=layer.include_last_offset,
            padding_idx=layer.padding_idx,
        )
        if offsets is None:
            bag_T = torch.arange(len(x), device=x.device).repeat_interleave(x.shape[1])
        else:
            starts = offsets[:-1] if layer.include_last_offset else offsets
            bag_T = torch.searchsorted(starts, torch.arange(len(x), device=x.device), right=True) - 1
        self._index, self._bag = x.flatten(), bag_T
        self._share = self._shares(y)
        return y

    def _shares(self, y: Tensor) -> Tensor:
        """Compute by what each entry is multiplied, [T]."""
        padding, index = self.layer.padding_idx, self._index
        counted = torch.ones_like(index, dtype=y.dtype) if padding is None else (index != padding).to(y.dtype)
        if self.layer.mode == "mean":
            sizes = counted.new_zeros(len(y)).index_add_(0, self._bag, counted).clamp_min(1)
            return counted / sizes[self._bag]
        return counted if self._factors is None else counted * self._factors.detach().flatten()

    def backward(self, gradient: Tensor, *, wanted: bool) -> tuple[Tensor | None, list[ExampleGradients]]:
        """Return no input gradient, since indices have none, and the weight's gradients by example."""
        entries = (self._index, self._bag, self._share)
        is_sparse = self.layer.sparse
        return None, [
            BagGradients(self.layer.weight, entries, gradient, self.train_size, is_sparse=is_sparse)
        ]


class BagGradients:
    """Example gradients of an embedding bag's weight, held as entries and output gradients.

    Args:
        weight: The parameter.
        entries: Indices, the bag of each and by what each is multiplied, [T].
        gradient: Gradient with respect to the bags, [N, E].
        train_size: B.
        is_sparse: Whether the weighted gradient is to be a sparse tensor.
    """

    def __init__(
        self,
        weight: Tensor,
        entries: tuple[Tensor, Tensor, Tensor],
        gradient: Tensor,
        train_size: int,
        *,
        is_sparse: bool,
    ) -> None:
        self.parameter, self._is_sparse = weight, is_sparse
        self._gradient, self._train_size = gradient, train_size
        is_train = entries[1] < train_size
        self._train = tuple(part[is_train] for part in entries)
        self._meta = tuple(part[~is_train] for part in entries)

    def meta_gradient(self) -> Part:
        """Put the meta examples' shares of output gradients in place, and sum them."""
        index, rows = self._rows(self._meta, self._gradient)
        return torch.zeros_like(self.parameter).index_add_(0, index, rows.to(self.parameter.dtype))

    def alignments(self, direction: Part) -> Tensor:
        """Compute inner products of the bags of D's rows with the output gradients."""
        index, bag, share = self._train
        gradient = self._gradient[: self._train_size]
        moved = (formed(direction)[index] * share.unsqueeze(1)).to(gradient)
        return row_dots(torch.zeros_like(gradient).index_add_(0, bag, moved), gradient)

    def weighted(self, weights: RowWeights) -> Tensor:
        """Put scaled shares of output gradients in place, and sum them."""
        gradient = self._gradient[: self._train_size]
        index, rows = self._rows(self._train, weights.scaled(gradient))
        if self._is_sparse:
            return sparse_rows(self.parameter, index, rows)
        return torch.zeros_like(self.parameter).index_add_(0, index, rows.to(self.parameter.dtype))

    @staticmethod
    def _rows(entries: tuple[Tensor, ...], gradient: Tensor) -> tuple[Tensor, Tensor]:
        index, bag, share = entries
        return index, gradient[bag] * share.unsqueeze(1)
