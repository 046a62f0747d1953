"""Example gradients of a pass held against autograd, one example at a time."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from l2rw_ray.meta.alignment.ghost_pass import GhostPass, TrainedLayers
from l2rw_ray.meta.evaluation.batches import joined
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.losses import losses_from
from l2rw_ray.meta.outer_sum import formed
from l2rw_ray.meta.replicas import Replicas

Loss = Callable[[Any, Tensor], Tensor]
Batch = tuple[Tensor, Tensor]
LOSS = nn.CrossEntropyLoss(reduction="none")


def passed(
    network: nn.Module, loss: Loss, train: Batch, meta: Batch | None = None, **options: Any
) -> GhostPass:
    """Return a pass that has been run."""
    # losses of both batches at once, so that parameters in the loss and outputs of any kind are seen, too
    losses = losses_from(None, lambda model, batch: loss(model(batch[0]), batch[1]))
    forward = Forward(Replicas.of(network), losses)
    both = None if meta is None else joined(train, meta)
    ghost = GhostPass(forward, TrainedLayers.of(network), train, both, **options)
    ghost.run()
    return ghost


def losses_of(network: nn.Module, loss: Loss, train: Batch) -> Tensor:
    """Return the losses of a pass."""
    forward = Forward(Replicas.of(network), losses_from(loss, None))
    return GhostPass(forward, TrainedLayers.of(network), train).run()


def assert_exact(
    network: nn.Module, train: Batch, meta: Batch, loss: Loss = LOSS, tolerance: float = 1e-10, **options: Any
) -> None:
    """Check scores, weighted gradient and meta gradient in float64, and that nothing is left behind."""
    held = {name: id(parameter) for name, parameter in network.named_parameters()}
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    rows = _one_at_a_time(network, trained, loss, train)
    meta_rows = _one_at_a_time(network, trained, loss, meta)
    direction = {name: torch.randn_like(value) for name, value in trained.items()}
    weights = torch.randn(len(train[1]), dtype=torch.float64)
    found = passed(network, loss, train, meta, **options).found
    along = {id(parameter): direction[name] for name, parameter in trained.items()}
    expected = sum(
        (rows[name].reshape(len(weights), -1) @ direction[name].flatten() for name in trained),
        torch.zeros(()),
    )
    _assert_near(found.alignments(along), expected, tolerance, "alignments")
    meta_gradient = found.meta_gradient()
    for is_last in (False, True):
        if is_last:
            weights[::2] = 0  # rows without a weight are left out
        weighted: dict[int, Tensor] = {}
        for parameter, gradient in found.weighted(weights, is_last=is_last):
            gradient = gradient.to_dense() if gradient.is_sparse else gradient
            weighted[id(parameter)] = weighted.get(id(parameter), 0) + gradient
        for name, parameter in trained.items():
            expected = torch.tensordot(weights, rows[name], dims=1)
            _assert_near(weighted.get(id(parameter), torch.zeros_like(parameter)), expected, tolerance, name)
    for name, parameter in trained.items():
        gradient = formed(meta_gradient.get(id(parameter), torch.zeros_like(parameter)))
        _assert_near(gradient, meta_rows[name].sum(dim=0), tolerance, name)
    assert {name: id(parameter) for name, parameter in network.named_parameters()} == held
    assert all(type(p) is nn.Parameter and p.grad is None for p in network.parameters())


def _one_at_a_time(
    network: nn.Module, trained: dict[str, nn.Parameter], loss: Loss, batch: Batch
) -> dict[str, Tensor]:
    rows: dict[str, list[Tensor]] = {name: [] for name in trained}
    for index in range(len(batch[1])):
        x, y = (part[index : index + 1] for part in batch)
        value = loss(network(x), y).sum()
        gradients = torch.autograd.grad(value, list(trained.values()), allow_unused=True)
        for (name, parameter), gradient in zip(trained.items(), gradients, strict=True):
            dense = gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient
            rows[name].append(torch.zeros_like(parameter) if dense is None else dense)
    return {name: torch.stack(parts) for name, parts in rows.items()}


def _assert_near(found: Tensor, expected: Tensor, tolerance: float, what: str) -> None:
    assert expected.norm() > 1e-6 or found.norm() < 1e-9, f"{what} is degenerate"
    error = ((found - expected).norm() / expected.norm().clamp_min(1e-6)).item()
    assert error < tolerance, f"{what} is off by {error:.1e}"
