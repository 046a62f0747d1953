"""Numbers and categories as one vector.

Shape suffixes: B batch, K columns of categories, D length of the vector.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

FEATURES, CATEGORIES = "features", "categories"
"""Keys of a batch: numbers, float32 [B, F], which may be left out, and categories, int64 [B, K]."""
_MISSING, _UNSEEN = 0, 1
"""Indices of missing values, and of those that training does not see."""


class CategoryInputs(nn.Module):
    """Puts numbers and categories side by side; a value that training does not see adds nothing.

    Args:
        features: F, 0 for none.
        category_sizes: Indices of each column of categories.
        how: `one_hot`: a number for each value. `embedding`: a learned vector for each.
        width: Length of such a vector.

    Attributes:
        size: D.
        unit: 1, of the network's type.
    """

    unit: Tensor

    def __init__(
        self, features: int, category_sizes: Sequence[int], how: Literal["one_hot", "embedding"], width: int
    ) -> None:
        super().__init__()
        self._sizes, self._has_features = tuple(category_sizes), features > 0
        self.register_buffer("unit", torch.ones(()), persistent=False)  # of the network's type
        self.embeddings: nn.ModuleList | None = None
        lengths = [size - 1 for size in category_sizes]  # none for unseen values
        if how == "embedding":
            self.embeddings = nn.ModuleList(nn.Embedding(size, width) for size in category_sizes)
            for embedding in self.embeddings:
                with torch.no_grad():
                    embedding.weight[[_MISSING, _UNSEEN]] = 0.0  # type: ignore[operator]
            lengths = [width] * len(category_sizes)
        self.size = features + sum(lengths)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return vectors [B, D]."""
        columns = inputs[CATEGORIES].unbind(dim=1)
        if self.embeddings is not None:
            parts = [embedding(column) for embedding, column in zip(self.embeddings, columns, strict=True)]
        else:
            parts = [_one_hot(column, size) for column, size in zip(columns, self._sizes, strict=True)]
        if self._has_features:
            parts.insert(0, inputs[FEATURES])
        return torch.cat([part.to(self.unit.dtype) for part in parts], dim=1)


def _one_hot(column_B: Tensor, size: int) -> Tensor:
    """Return [B, size − 1]: a column for missing values and each known one; zeros for an unseen one."""
    whole = functional.one_hot(column_B, size)
    return torch.cat((whole[:, :_UNSEEN], whole[:, _UNSEEN + 1 :]), dim=1)
