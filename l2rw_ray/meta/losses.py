"""Losses per example, and evaluating a model on parameters that are not its own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call

from l2rw_ray.errors import InputError

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""Maps (output, target) to one loss per example."""
Batch = tuple[Tensor, Tensor]
Parameters = Mapping[str, Tensor]


def example_losses(loss_fn: LossFunction, output: Tensor, target: Tensor) -> Tensor:
    """One loss per example, [B].

    Raises:
        InputError: The loss function returned anything else, such as the mean over the batch.
    """
    losses: Tensor = loss_fn(output, target)
    if losses.shape != target.shape[:1]:
        raise InputError(
            "loss_fn",
            f"a loss of shape {tuple(losses.shape)}",
            f"{len(target)} examples want one loss each",
            "give it reduction='none' and average over all dimensions but the first",
        )
    return losses


def losses_at(module: nn.Module, parameters: Parameters, loss_fn: LossFunction, batch: Batch) -> Tensor:
    """Losses [B] of the module with other parameters; its own parameters and buffers are not written.

    Args:
        module: The network, not wrapped.
        parameters: Values of its parameters, by name.
        loss_fn: Maps (output, target) to one loss per example.
        batch: Inputs and targets.
    """
    x, y = batch
    buffers = {name: buffer.detach().clone() for name, buffer in module.named_buffers()}
    return example_losses(loss_fn, functional_call(module, (dict(parameters), buffers), (x,)), y)


def trainable(module: nn.Module) -> dict[str, Tensor]:
    """The module's trainable parameters by name, detached and asking for gradients of their own."""
    return {
        name: parameter.detach().requires_grad_()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }


@contextmanager
def untouched_generators(device: torch.device) -> Iterator[None]:
    """Leave the global random generators as they were: a probe's dropout must not shift training's."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
