"""Evaluating the model: the training forward, and probes that leave no trace."""

from typing import Any

import torch
from torch import Tensor, nn

from l2rw_ray.meta.generators import GeneratorState, untouched_generators
from l2rw_ray.meta.losses import (
    Batch,
    LossFunction,
    Parameters,
    copied_buffers,
    example_losses,
    losses_at,
    output_at,
)
from l2rw_ray.meta.replicas import Replicas


class Forward:
    """Evaluates losses per example for an estimator.

    Args:
        replicas: The ranks that share the model.
        loss_fn: Maps (output, target) to one loss per example.
        dry: Whether even the training forward must leave no trace: no step follows it.
    """

    def __init__(self, replicas: Replicas, loss_fn: LossFunction, *, dry: bool = False) -> None:
        self.replicas, self.loss_fn, self.dry = replicas, loss_fn, dry

    @property
    def module(self) -> nn.Module:
        """The network itself."""
        return self.replicas.module

    def training(self, batch: Batch, parameters: Parameters | None = None) -> Tensor:
        """Return losses [B] with their graph, by the forward that is then trained on.

        It goes through the model's wrapper and writes buffers as any training forward does, unless
        dry.

        Args:
            batch: Inputs and targets.
            parameters: Values to compute with instead of the module's own, by name; gradients reach
                the module's own through them.
        """
        torch.clear_autocast_cache()  # a copy made without gradients would keep them from the parameters
        x, y = batch
        if self.dry:
            values = {**dict(self.module.named_parameters()), **(parameters or {})}
            return losses_at(self.module, values, self.loss_fn, batch)
        if parameters is None:
            return example_losses(self.loss_fn, self.replicas.model(x), y)
        return example_losses(self.loss_fn, self._wrapped_output(x, parameters), y)

    def probe(self, batch: Batch, parameters: Parameters, replay: GeneratorState | None = None) -> Tensor:
        """Compute losses [B] at other parameters; no parameter, buffer or generator is written.

        Args:
            batch: Inputs and targets.
            parameters: Values by name.
            replay: Generators to draw dropout masks from, so that they equal those of an earlier
                forward; None draws whatever comes.
        """
        drawing = replay.replayed() if replay else untouched_generators(batch[0].device)
        with drawing:
            if self.replicas.is_compiled:
                x, y = batch
                values = {**copied_buffers(self.module), **parameters}
                return example_losses(self.loss_fn, self._wrapped_output(x, values), y)
            return losses_at(self.module, parameters, self.loss_fn, batch)

    def _wrapped_output(self, x: Tensor, values: Parameters) -> Any:
        return output_at(self.module, values, x, self.replicas.model, self.replicas.prefix)

    def generators(self, batch: Batch) -> GeneratorState:
        """Return where the generators stand that a forward of this batch draws from."""
        return GeneratorState.now(batch[0].device)


def backward_weighted(losses_B: Tensor, weights_B: Tensor, world_size: int) -> None:
    """Add the gradient of Σ w_i ℓ_i to the parameters' own.

    DistributedDataParallel averages over ranks, so each rank's part of the sum is scaled by their
    number.
    """
    torch.autograd.backward((weights_B.detach().to(losses_B) * losses_B).sum() * world_size)
