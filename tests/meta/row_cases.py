"""Batches and exact scores for tests of rows that models put elsewhere."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Losses = Callable[[nn.Module, Any], Tensor]


def mean_losses(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch["x"]), batch["y"], reduction="none")


def exact_scores(model: nn.Module, losses: Losses, batch: Any, direction: list[Tensor]) -> Tensor:
    """Scores by one backward for each example."""
    parameters = list(model.parameters())
    scores = []
    for loss in losses(model, batch):
        gradient = torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
        scores.append(sum(torch.sum(d * g) for d, g in zip(direction, gradient, strict=True)))
    return torch.stack(scores)


def direction_of(model: nn.Module, losses: Losses, meta: Any) -> list[Tensor]:
    mean = losses(model, meta).mean()
    return list(torch.autograd.grad(mean, list(model.parameters()), materialize_grads=True))


def graphs(counts: list[int]) -> dict[str, Tensor]:
    mask = torch.arange(5) < torch.tensor(counts).unsqueeze(1)
    return {"x": torch.randn(len(counts), 5, 4) * mask.unsqueeze(2), "y": torch.randint(3, (len(counts),))}


def rows(size: int, classes: int = 3) -> dict[str, Tensor]:
    return {"x": torch.randn(size, 4), "y": torch.randint(classes, (size,))}


def texts(size: int, length: int) -> dict[str, Tensor]:
    return {"x": torch.randint(9, (size, length)), "y": torch.randint(3, (size,))}
