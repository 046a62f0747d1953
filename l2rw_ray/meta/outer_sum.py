"""Gradients of parameters held as outer products where that takes less memory.

Shape suffixes: M meta examples, O outputs, I inputs.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from l2rw_ray.meta.sharding.parts import is_spread, local_part, sum_over_shards


@dataclass(frozen=True)
class OuterSum:
    """Σ_j o_j i_jᵀ, the gradient of a linear layer's weight over M examples, not formed.

    Attributes:
        outputs_MO: Gradients with respect to the outputs.
        inputs_MI: Inputs.
    """

    outputs_MO: Tensor
    inputs_MI: Tensor

    @property
    def shape(self) -> torch.Size:
        """That of the weight, [O, I]."""
        return torch.Size((self.outputs_MO.shape[1], self.inputs_MI.shape[1]))

    @property
    def dtype(self) -> torch.dtype:
        """That of the weight."""
        return self.outputs_MO.dtype

    def __truediv__(self, divisor: float) -> "OuterSum":
        return OuterSum(self.outputs_MO / divisor, self.inputs_MI)

    def norm(self) -> Tensor:
        """Compute the Frobenius norm, a scalar."""
        return self.inner(self).clamp_min(0).sqrt()  # rounding may leave less than nothing

    def inner(self, other: "Part") -> Tensor:
        """Compute the inner product with a tensor of this shape or another sum, a scalar; form neither."""
        if isinstance(other, Tensor):
            return torch.sum((self.outputs_MO @ other) * self.inputs_MI)
        return torch.sum((self.outputs_MO @ other.outputs_MO.T) * (self.inputs_MI @ other.inputs_MI.T))


Part = Tensor | OuterSum
"""The gradient of one parameter."""


def formed(part: Part) -> Tensor:
    """Return the gradient as a tensor, shaped like its parameter."""
    return part if isinstance(part, Tensor) else part.outputs_MO.T @ part.inputs_MI


@torch.no_grad()
def inner_product(left: Mapping[str, Part], right: Mapping[str, Part]) -> Tensor:
    """Compute ⟨left, right⟩ of two gradients of the same parameters, a scalar."""
    products = [_product(part, right[name]) for name, part in left.items()]
    return sum_over_shards(torch.stack(products).sum(), left.values())


def _product(left: Part, right: Part) -> Tensor:
    if isinstance(left, OuterSum):
        return left.inner(right)
    if isinstance(right, OuterSum):
        return right.inner(left)
    return torch.dot(local_part(left).reshape(-1), local_part(right).reshape(-1))


@torch.no_grad()
def length(parts: Collection[Part]) -> Tensor:
    """Compute the Euclidean norm of a gradient of several parameters, a scalar."""
    norms = [part.norm() for part in parts if isinstance(part, OuterSum)]
    if tensors := [local_part(part) for part in parts if isinstance(part, Tensor)]:
        norms += torch._foreach_norm(tensors)
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    if any(is_spread(part) for part in parts):
        norm = sum_over_shards(norm.double().square(), parts).sqrt().to(norm.dtype)
    return norm
