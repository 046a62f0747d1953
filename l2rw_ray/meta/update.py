"""Optimiser steps on weighted losses, with gradient accumulation, clipping and DDP.

Shape suffixes: B train batch of this rank.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from l2rw_ray.errors import InputError
from l2rw_ray.meta.alignment.interface import ScoredBatch
from l2rw_ray.meta.evaluation.batches import Batch, Collate
from l2rw_ray.meta.evaluation.forward import Forward, backward_weighted
from l2rw_ray.meta.evaluation.losses import Losses, LossFunction, Parameters, losses_from
from l2rw_ray.meta.evaluation.precision import without_autocast
from l2rw_ray.meta.lookahead import check_not_left_out, check_steps_when_told, each_optimizer
from l2rw_ray.meta.replicas import Replicas


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """What an update did.

    Attributes:
        loss: This rank's Σ w_i ℓ_i, a detached scalar; the ranks' shares add up.
        losses: Losses [B] of this rank's examples without weights, detached; None where no example
            had a weight and none was evaluated.
        skipped: Every weight of the global batch was zero; its gradient is none.
    """

    loss: Tensor
    losses: Tensor | None
    skipped: bool


class WeightedUpdate:
    """Steps an optimiser on Σ w_i ℓ_i, over all ranks and one or several micro-batches.

    Args:
        model: Network, or one that is, wraps or holds a DistributedDataParallel.
        optimizer: Steps on all of the model's parameters; or several, each on a part.
        loss_fn: Maps (output, target) to one loss per example; batches are then pairs of inputs and targets.
        accumulation_steps: Micro-batches per optimiser step; their gradients are averaged.
        max_grad_norm: Largest norm of the whole gradient; a larger one is scaled down. None for any.
        losses: Maps (model, batch) to one loss per example, [B], in place of `loss_fn`.
        collate: Joins a train and a meta batch that differ in shape, by padding; see `ReweightedStep`.
        replicas: The ranks that step together; None for those of the model.
        scaler: Scales the gradient, for training in float16; it skips steps on gradients that are not finite.

    Raises:
        InputError: An option is out of its range, or the optimiser lacks a trainable parameter.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | Sequence[Optimizer],
        loss_fn: LossFunction | None = None,
        accumulation_steps: int = 1,
        max_grad_norm: float | None = None,
        *,
        losses: Losses | None = None,
        collate: Collate | None = None,
        replicas: Replicas | None = None,
        scaler: GradScaler | None = None,
    ) -> None:
        if not isinstance(accumulation_steps, int) or accumulation_steps < 1:
            raise InputError("accumulation_steps", accumulation_steps, "no number of steps", "use 1 or more")
        is_norm = isinstance(max_grad_norm, int | float) and 0 < max_grad_norm < math.inf
        if max_grad_norm is not None and not is_norm:
            raise InputError("max_grad_norm", max_grad_norm, "no norm", "use a number above 0, or None")
        evaluated = losses_from(loss_fn, losses)
        self.forward = Forward(Replicas.given(replicas, model), evaluated, collate=collate)
        self._optimizers, self._scaler = each_optimizer(optimizer), checked_scaler(scaler)
        check_not_left_out(self._optimizers, self.forward.module)
        self._accumulation_steps, self._max_grad_norm = accumulation_steps, max_grad_norm
        self._micro_batches, self._is_last = 0, False
        self._has_gradient, self._is_apart = False, False

    @property
    def is_between_steps(self) -> bool:
        """Whether no micro-batch waits for others of its optimiser step."""
        return self._micro_batches == 0

    @contextmanager
    def micro_batch(self, *, flush: bool = False) -> Iterator[None]:
        """Evaluate and update one micro-batch inside; the optimiser steps after the last of a step.

        Args:
            flush: Whether this is the last one, though fewer than `accumulation_steps` may have come.

        Raises:
            InputError: An optimiser would not step when told to.
        """
        self.forward.replicas.prepare()
        if self._micro_batches == 0:
            check_steps_when_told(self._optimizers)
            for optimizer in self._optimizers:
                optimizer.zero_grad(set_to_none=True)
            self._has_gradient = self._is_apart = False
        self._is_last = flush or self._micro_batches == self._accumulation_steps - 1
        with nullcontext() if self._is_last else self.forward.replicas.without_averaging():
            yield
        self._micro_batches += 1
        if self._is_last:
            self._step()
            self._micro_batches = 0

    def update(
        self, batch: Batch, weights_B: Tensor, total: float, *, parameters: Parameters | None = None
    ) -> UpdateResult:
        """Evaluate a batch and add its weighted gradient; inside `micro_batch`.

        Args:
            batch: The train batch of this rank.
            weights_B: Weights of this rank's examples.
            total: Sum of the global batch's weights' magnitudes; nothing is done where it is 0.
            parameters: Values to evaluate at instead of the network's own, by name; gradients reach those
                through them. None for its own.
        """
        if total == 0:
            return UpdateResult(weights_B.new_zeros(()), None, skipped=True)
        with torch.enable_grad():
            losses_B = self.forward.training(batch, parameters)
            self._backward(losses_B, weights_B)
        return self._note(losses_B.detach(), weights_B)

    def update_by_losses(
        self, batch: Batch, weigh: Callable[[Tensor], tuple[Tensor, float]]
    ) -> tuple[UpdateResult, Tensor]:
        """Evaluate a batch, weight its examples by their losses and add the weighted gradient.

        Args:
            batch: The train batch of this rank.
            weigh: Maps the losses [B] of this rank, detached, to its weights [B] and the sum of the
                global batch's magnitudes; nothing is updated where that is 0.

        Returns:
            What it did, and the weights.
        """
        with torch.enable_grad():
            losses_B = self.forward.training(batch)
            weights_B, total = weigh(losses_B.detach())
            if total == 0:
                return UpdateResult(weights_B.new_zeros(()), losses_B.detach(), skipped=True), weights_B
            self._backward(losses_B, weights_B)
        return self._note(losses_B.detach(), weights_B), weights_B

    def update_scored(self, scored: ScoredBatch, weights_B: Tensor, total: float) -> UpdateResult:
        """Add the weighted gradient of a batch that was evaluated when it was scored."""
        if total == 0:
            return UpdateResult(weights_B.new_zeros(()), scored.losses, skipped=True)
        with without_autocast(weights_B.device.type):  # as where the caller goes back after it
            scored.backward(self._scaled(weights_B), synchronise=self._is_last)
        return self._note(scored.losses, weights_B)

    def _backward(self, losses_B: Tensor, weights_B: Tensor) -> None:
        with without_autocast(weights_B.device.type):
            backward_weighted(losses_B, self._scaled(weights_B), self._world_size)

    def _scaled(self, weights_B: Tensor) -> Tensor:
        weights_B = weights_B / self._accumulation_steps
        return weights_B if self._scaler is None else self._scaler.scale(weights_B)

    @property
    def _world_size(self) -> int:
        return self.forward.replicas.world_size

    def _note(self, losses_B: Tensor, weights_B: Tensor) -> UpdateResult:
        self._has_gradient, self._is_apart = True, not self._is_last
        return UpdateResult((weights_B.to(losses_B) * losses_B).sum(), losses_B, skipped=False)

    def _step(self) -> None:
        if not self._has_gradient:
            return
        self.forward.replicas.prepare()
        if self._is_apart:  # the last micro-batch, which would have brought ranks together, was skipped
            self.forward.replicas.average_gradients(self.forward.module.parameters())
        if self._micro_batches < self._accumulation_steps:
            _multiply_gradients(self.forward.module, self._accumulation_steps / self._micro_batches)
        stepping = self._optimizers
        if self._scaler is not None:
            stepping = tuple(filter(_has_gradients, stepping))  # a scaler wants some
            for optimizer in stepping:
                self._scaler.unscale_(optimizer)
            # a scaler leaves out the optimisers whose own gradients overflowed, and would step the others
            if len(stepping) > 1 and not _are_finite(self.forward.module):
                self._scaler.update()
                return
        if self._max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.forward.module.parameters(), self._max_grad_norm)
        with without_autocast(self.forward.replicas.device.type):  # Muon multiplies matrices
            _step_all(stepping, self._scaler)
        torch.clear_autocast_cache()  # an autocast around several steps keeps copies of old weights


def _multiply_gradients(module: nn.Module, factor: float) -> None:
    for parameter in module.parameters():
        if parameter.grad is not None:
            parameter.grad *= factor


def _are_finite(module: nn.Module) -> bool:
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    return bool(nn.utils.get_total_norm(gradients, math.inf).isfinite())


def checked_scaler(scaler: GradScaler | None) -> GradScaler | None:
    """Check that a scaler is one of torch's, or none; return it.

    Raises:
        InputError: It is anything else.
    """
    if scaler is not None and not isinstance(scaler, GradScaler):
        raise InputError("scaler", type(scaler).__name__, "no GradScaler", "pass a torch.amp.GradScaler")
    return scaler


def _step_all(optimizers: Sequence[Optimizer], scaler: GradScaler | None) -> None:
    for optimizer in optimizers:
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
    if scaler is not None:
        scaler.update()


def _has_gradients(optimizer: Optimizer) -> bool:
    return any(each.grad is not None for group in optimizer.param_groups for each in group["params"])
