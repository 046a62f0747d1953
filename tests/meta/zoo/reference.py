"""What scores and weighted gradients are, by definition: plain autograd, one example at a time."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.meta.zoo.entry import Losses

Gradients = dict[str, Tensor]
"""Dense, by parameter name; parameters that nothing reaches have zeros."""


def true_scores(model: nn.Module, losses: Losses, train: Any, meta: Any, seed: int = 0) -> Tensor:
    """Compute u_i = ⟨∇ mean(losses of meta), ∇ entry i of losses of train⟩, [B].

    Both forwards start from the model's present buffers and from the generators at `seed`. Neither the
    model nor the generators are written.
    """
    (direction,) = _gradients(model, losses, meta, lambda losses_M: [losses_M.mean()], seed)
    rows = _gradients(model, losses, train, list, seed)
    return torch.stack([sum((row[name] * direction[name]).sum() for name in row) for row in rows])


def true_weighted_gradient(
    model: nn.Module, losses: Losses, train: Any, weights: Tensor, seed: int = 0
) -> Gradients:
    """Compute ∇ Σ w_i ℓ_i for weights [B], as `true_scores` evaluates losses."""
    (gradient,) = _gradients(model, losses, train, lambda losses_B: [(weights * losses_B).sum()], seed)
    return gradient


def seeded_losses(model: nn.Module, losses: Losses, batch: Any, seed: int = 0) -> Tensor:
    """Evaluate the losses [B], with their graph, on generators at `seed`, which are left as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return losses(model, batch)


def _gradients(
    model: nn.Module, losses: Losses, batch: Any, parts: Callable[[Tensor], list[Tensor]], seed: int
) -> list[Gradients]:
    twin = copy.deepcopy(model)
    trained = {name: value for name, value in twin.named_parameters() if value.requires_grad}

    def gradient(part: Tensor) -> Gradients:
        found = torch.autograd.grad(part, tuple(trained.values()), retain_graph=True, allow_unused=True)
        return {
            name: torch.zeros_like(value) if slope is None else slope.to_dense()
            for (name, value), slope in zip(trained.items(), found, strict=True)
        }

    with torch.enable_grad():
        return [gradient(part) for part in parts(seeded_losses(twin, losses, batch, seed))]
