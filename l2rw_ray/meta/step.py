"""One training step on the loss that the meta set has weighted.

Shape suffixes: B train batch of this rank, M its meta batch.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from l2rw_ray.errors import InputError, NonFiniteError
from l2rw_ray.meta.alignment import estimator_named
from l2rw_ray.meta.hold import HoldTable
from l2rw_ray.meta.lookahead import meta_gradient
from l2rw_ray.meta.losses import Batch, LossFunction, example_losses, untouched_generators
from l2rw_ray.meta.replicas import Replicas
from l2rw_ray.meta.weights import Clip, Normalise, clipped, normalised

Timer = Callable[[str], AbstractContextManager[None]]
"""Measures the block it is entered around, by phase name."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step did.

    Attributes:
        loss: Weighted loss of this rank's examples, a detached scalar; the ranks' shares add up to
            the loss of the global batch.
        weights: Weights [B] of this rank's examples.
        scores: Scores [B], None on a step that computed none.
        skipped: Every weight of the global batch was zero; nothing was updated.
    """

    loss: Tensor
    weights: Tensor
    scores: Tensor | None
    skipped: bool

    @property
    def updated(self) -> bool:
        """Whether this step computed weights, rather than holding earlier ones or taking uniform ones."""
        return self.scores is not None


def weighted_update(
    model: nn.Module,
    optimizer: Optimizer,
    loss_fn: LossFunction,
    batch: Batch,
    weights_B: Tensor,
    replicas: Replicas,
) -> Tensor:
    """One optimiser step on Σ w_i ℓ_i over the global batch.

    DistributedDataParallel averages gradients over ranks, so each rank's part of the sum is scaled
    by their number.

    Args:
        model: Network, or its DistributedDataParallel wrapper.
        optimizer: Steps on all of the model's parameters.
        loss_fn: Maps (output, target) to one loss per example.
        batch: Inputs and targets of this rank.
        weights_B: Weights of this rank's examples.
        replicas: `Replicas.of(model)`.

    Returns:
        This rank's Σ w_i ℓ_i, detached.
    """
    x, y = batch
    optimizer.zero_grad(set_to_none=True)
    loss = (weights_B.detach() * example_losses(loss_fn, model(x), y)).sum()
    (loss * replicas.world_size).backward()
    optimizer.step()
    return loss.detach()


class ReweightedStep:
    """Learning to reweight (Ren et al. 2018, Algorithm 1), a step at a time.

    Args:
        model: Network, or a DistributedDataParallel wrapper whose ranks step together.
        optimizer: Steps on all of the model's parameters.
        loss_fn: Maps (output, target) to one loss per example.
        estimator: How alignments are computed; `auto` takes the cheapest exact one.
        update_every: Steps from one computation of weights to the next.
        between: Weights of the steps in between: `hold` takes each example's last weight relative
            to uniform, normalised over the batch, `uniform` takes 1/B.
        table_size: Examples in the data set, for `hold`; without it the table grows as needed.
        clip: What becomes of negative scores; the paper's is `relu`.
        normalise: What weights add up to; the paper's is `batch_sum`.
        timer: Measures the phases `meta_gradient`, `alignment`, `weights` and `update`.

    Attributes:
        skipped_steps: Steps on which no weight was positive and nothing was updated.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        loss_fn: LossFunction,
        estimator: str = "auto",
        update_every: int = 1,
        between: Literal["hold", "uniform"] = "hold",
        table_size: int = 0,
        clip: Clip = "relu",
        normalise: Normalise = "batch_sum",
        timer: Timer | None = None,
    ) -> None:
        if update_every < 1:
            raise InputError("update_every", update_every, "no number of steps", "use 1 or more")
        if between not in ("hold", "uniform"):
            raise InputError("between", between, "unknown", "use hold or uniform")
        self._model, self._optimizer, self._loss_fn = model, optimizer, loss_fn
        self._replicas = Replicas.of(model)
        self._estimator = estimator_named(estimator)
        self._update_every, self._clip, self._normalise = update_every, clip, normalise
        self._table = (
            HoldTable(table_size, self._replicas) if between == "hold" and update_every > 1 else None
        )
        self._timer: Timer = timer or (lambda phase: nullcontext())
        self._steps = 0
        self.skipped_steps = 0

    def __call__(self, train_batch: Batch, meta_batch: Batch, index_B: Tensor | None = None) -> StepResult:
        """Make one training step.

        Args:
            train_batch: Inputs [B, …] and targets [B, …] of this rank.
            meta_batch: Clean inputs [M, …] and targets [M, …], this rank's share; read only on
                steps that compute weights.
            index_B: Positions of the examples in the data set; needed to hold weights.

        Raises:
            InputError: Weights are held and no index is given.
            NonFiniteError: The meta loss or a score is NaN or infinite, on any rank. The training
                loss is not looked at, which would make every step wait for its update: see `loss`.
        """
        if self._table is not None and index_B is None:
            raise InputError(
                "index_B", None, "held weights are kept by example", "pass positions or use between='uniform'"
            )
        scores_B = None
        if self._steps % self._update_every == 0:
            scores_B, weights_B, total = self._weigh(train_batch, meta_batch, index_B)
        else:
            weights_B, total = self._weights_between(train_batch, index_B)
        skipped = total == 0
        loss = weights_B.new_zeros(())
        if not skipped:
            with self._timer("update"):
                loss = weighted_update(
                    self._model, self._optimizer, self._loss_fn, train_batch, weights_B, self._replicas
                )
        self.skipped_steps += skipped
        self._steps += 1
        return StepResult(loss, weights_B, scores_B, skipped)

    def _weigh(
        self, train_batch: Batch, meta_batch: Batch, index_B: Tensor | None
    ) -> tuple[Tensor, Tensor, float]:
        """Scores, weights, and the global sum of clipped scores."""
        with self._timer("meta_gradient"), untouched_generators(meta_batch[0].device):
            direction, meta_loss = meta_gradient(self._replicas, self._loss_fn, meta_batch)
        with self._timer("alignment"):
            scores_B = self._estimator(self._replicas.module, self._loss_fn, train_batch, direction)
        with self._timer("weights"):
            clipped_B = clipped(scores_B, self._clip)
            # clipping would hide a score of −∞, and a broken meta loss need not show in the scores
            poison = 0.0 * (scores_B.sum() + meta_loss)
            totals = self._replicas.batch_totals(clipped_B.abs().sum() + poison, len(clipped_B))
            total = totals.weight.item()
            if not math.isfinite(total):
                raise NonFiniteError(self._steps, "scores" if meta_loss.isfinite() else "meta_loss")
            weights_B = normalised(clipped_B, totals, self._normalise)
            if self._table is not None and index_B is not None:
                share_B = normalised(clipped_B, totals, "mean_one")
                self._table.write(index_B, share_B, [int(size) for size in totals.sizes.tolist()])
        return scores_B, weights_B, total

    def _weights_between(self, train_batch: Batch, index_B: Tensor | None) -> tuple[Tensor, float]:
        """Held or uniform weights, and their global sum before normalisation."""
        with self._timer("weights"), torch.no_grad():
            like = next(self._replicas.module.parameters())
            relative_B = like.new_ones(len(train_batch[1]))
            if self._table is not None and index_B is not None:
                relative_B = self._table.read(index_B).to(relative_B)
            totals = self._replicas.batch_totals(relative_B.abs().sum(), len(relative_B))
            rule: Normalise = "mean_one" if self._normalise == "mean_one" else "batch_sum"
            return normalised(relative_B, totals, rule), totals.weight.item()

    def state_dict(self) -> dict[str, Any]:
        """Step counter, skipped steps and held weights: all that a resumed trial needs."""
        held = {} if self._table is None else {"held": self._table.state()}
        return {"steps": self._steps, "skipped_steps": self.skipped_steps, **held}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self._steps, self.skipped_steps = state["steps"], state["skipped_steps"]
        if self._table is not None:
            self._table.load(state["held"])
