"""Gradients of parameters that are held as the vectors they are made of, where those are fewer.

Shape suffixes: M meta examples, O outputs, I inputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


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

    def inner(self, other: "Part") -> Tensor:
        """Inner product with a tensor of this shape or another sum, a scalar; neither is formed."""
        if isinstance(other, Tensor):
            return torch.sum(_product(self.outputs_MO, other) * self.inputs_MI)
        outer = _product(self.outputs_MO, other.outputs_MO.T)
        return torch.sum(outer * _product(self.inputs_MI, other.inputs_MI.T))


Part = Tensor | OuterSum
"""The gradient of one parameter."""


def formed(part: Part) -> Tensor:
    """The gradient as a tensor, shaped like its parameter."""
    return part if isinstance(part, Tensor) else _product(part.outputs_MO.T, part.inputs_MI)


def inner_product(left: Part, right: Part) -> Tensor:
    """⟨left, right⟩ of two gradients of one parameter, a scalar."""
    if isinstance(left, OuterSum):
        return left.inner(right)
    if isinstance(right, OuterSum):
        return right.inner(left)
    return torch.dot(left.reshape(-1), right.reshape(-1))


def length(part: Part) -> Tensor:
    """Euclidean norm of a gradient, a scalar."""
    if isinstance(part, OuterSum):
        return part.inner(part).clamp_min(0).sqrt()  # rounding may leave less than nothing
    norm: Tensor = torch.linalg.vector_norm(part)
    return norm


def _product(left: Tensor, right: Tensor) -> Tensor:
    """The matrix product, in the precision of its factors whatever autocast would do."""
    with torch.autocast(left.device.type, enabled=False):
        return left @ right
