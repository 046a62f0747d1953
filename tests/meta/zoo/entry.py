"""What an entry of the zoo is: a small model, its losses, two batches, and facts about them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils import _pytree as pytree

TRAIN_SIZE = 6
META_SIZE = 3
CLASSES = 10

Losses = Callable[[nn.Module, Any], Tensor]
"""Maps (model, batch) to one loss per example, [B], by calling the model."""


class Case(NamedTuple):
    """A model in train mode with batches that are pytrees of tensors."""

    model: nn.Module
    losses: Losses
    train: Any
    meta: Any


@dataclass(frozen=True)
class Entry:
    """A model that people train, and what sets it apart for an estimator of scores.

    Attributes:
        make: Builds it in float32, with whatever torch's generators draw.
        coupled: The loss of an example depends on the rest of its batch.
        random: Its forward draws from torch's generator.
        stops: Autograd's gradient is not the derivative of the function: something is detached, rounded
            or reversed.
        single_inside: It computes in float32 at places even where it is asked for float64.
        single_only: It cannot run in float64 at all.
        ragged: Its batches have leaves whose rows are no examples.
    """

    make: Callable[[], Case]
    coupled: bool = False
    random: bool = False
    stops: bool = False
    single_inside: bool = False
    single_only: bool = False
    ragged: bool = False

    def build(self, dtype: torch.dtype | None = None) -> Case:
        """Build it in a precision, the same each time; torch's generators are left as they were.

        Args:
            dtype: Of parameters, buffers and inputs; None for the widest that it runs in.
        """
        dtype = dtype or (torch.float32 if self.single_only else torch.float64)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            case = self.make()
            _roughen(case.model)
        train, meta = (pytree.tree_map(lambda leaf: _cast(leaf, dtype), part) for part in case[2:])
        return Case(case.model.to(dtype).train(), case.losses, train, meta)


def _roughen(model: nn.Module) -> None:
    """Move parameters that start out constant, such as LoRA's zeros, behind which no gradient passes."""
    with torch.no_grad():
        for parameter in model.parameters():
            if (parameter == parameter.flatten()[0]).all():
                parameter += 0.1 * torch.randn_like(parameter)


def _cast(leaf: Any, dtype: torch.dtype) -> Any:
    return leaf.to(dtype) if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf


def classified(model: nn.Module, *shape: int, losses: Losses | None = None, classes: int = CLASSES) -> Case:
    """Make a case of inputs of this shape, [B, *shape], with a class each."""
    train, meta = (
        (torch.randn(size, *shape), torch.randint(classes, (size,))) for size in (TRAIN_SIZE, META_SIZE)
    )
    return Case(model, losses or cross_entropy, train, meta)


def cross_entropy(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Compute the cross-entropy [B] of a model that maps inputs to logits."""
    x, y = batch
    return functional.cross_entropy(model(x), y, reduction="none")
