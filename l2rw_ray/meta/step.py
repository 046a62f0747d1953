"""One training step on the loss weighted by the meta set.

Shape suffixes: B train batch of this rank, M its meta batch.
"""

import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from l2rw_ray.errors import InputError, NonFiniteError
from l2rw_ray.meta.alignment import Estimator, ScoredBatch, estimator_named
from l2rw_ray.meta.diagnostics import (
    FailureSignature,
    HealthMonitor,
    effective_sample_size,
    zero_weight_fraction,
)
from l2rw_ray.meta.direction import Direction, DirectionSource
from l2rw_ray.meta.example_table import ExampleTable, checked_positions
from l2rw_ray.meta.lookahead import lookahead_named
from l2rw_ray.meta.losses import Batch, LossFunction, checked_batch, trainable
from l2rw_ray.meta.update import UpdateResult, WeightedUpdate
from l2rw_ray.meta.weights import Clip, Normalise, checked_rule, clipped, normalised

Timer = Callable[[str], AbstractContextManager[None]]
"""Measures the block it is entered around, by phase name."""
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step did.

    Attributes:
        loss: Weighted loss of this rank's examples, a detached scalar; the ranks' shares add up to
            the loss of the global batch.
        weights: Weights [B] of this rank's examples.
        scores: Scores [B], None on a step that computed none.
        skipped: Every weight of the global batch was zero; nothing was updated.
        losses: Losses [B] without weights, detached; None where a skipped step evaluated none.
        direction_cosine: Cosine of this step's direction with the one before, a scalar; None where
            there is no new one or no earlier one.
    """

    loss: Tensor
    weights: Tensor
    scores: Tensor | None
    skipped: bool
    losses: Tensor | None = None
    direction_cosine: Tensor | None = None

    @property
    def effective_sample_size(self) -> Tensor:
        """(Σw)²/Σw² of this rank's weights, a scalar, in examples."""
        return effective_sample_size(self.weights)

    @property
    def zero_weight_fraction(self) -> Tensor:
        """Fraction of this rank's weights that are exactly zero, a scalar."""
        return zero_weight_fraction(self.weights)


class ReweightedStep:
    """Learning to reweight (Ren et al. 2018, Algorithm 1), a step at a time.

    Args:
        model: Network, or a DistributedDataParallel wrapper whose ranks step together.
        optimizer: Steps on all of the model's parameters.
        loss_fn: Maps (output, target) to one loss per example.
        estimator: How alignments are computed; see `example_scores`.
        update_every: Steps per weight update.
        between: Weights of the steps in between: `hold` takes each example's last weight relative
            to uniform, normalised over the batch, `uniform` takes 1/B.
        table_size: Examples in the data set, for `hold`; without it the table grows as needed.
        clip: How negative scores are treated; `relu` is the paper's.
        normalise: What weights add up to; `batch_sum` is the paper's.
        lookahead: `zero`, the paper's, `optimizer`, the step this optimiser would make, or `sgd`, a plain
            one at its learning rate.
        epsilon: ε0 of every example, in units of 1/B; other than 0 it needs one of the latter two.
        meta_gradient_every: Weight updates per computation of the direction; the alignment is computed every
            time.
        score_momentum: β of s_i ← β s_i + (1 − β) u_i, a moving average over the times an example is scored,
            in place of u_i; 0 for none.
        accumulation_steps: Calls per optimiser step; their gradients are averaged.
        max_grad_norm: Largest norm of the gradient; None for any.
        timer: Measures the phases `meta_gradient` (where it has a pass of its own), `alignment`,
            `weights` and `update`.

    Attributes:
        skipped_steps: Steps on which no weight was positive and nothing was updated.

    Raises:
        InputError: An option is unknown or out of its range.
        UnsupportedModelError: The estimator does not support the model.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        loss_fn: LossFunction,
        *,
        estimator: str | Estimator = "auto",
        update_every: int = 1,
        between: Literal["hold", "uniform"] = "hold",
        table_size: int = 0,
        clip: Clip = "relu",
        normalise: Normalise = "batch_sum",
        lookahead: str = "zero",
        epsilon: float = 0.0,
        meta_gradient_every: int = 1,
        score_momentum: float = 0.0,
        accumulation_steps: int = 1,
        max_grad_norm: float | None = None,
        timer: Timer | None = None,
    ) -> None:
        _check_count(update_every=update_every, meta_gradient_every=meta_gradient_every)
        if between not in ("hold", "uniform"):
            raise InputError("between", between, "unknown", "use hold or uniform")
        if not 0 <= score_momentum < 1:
            raise InputError("score_momentum", score_momentum, "out of range", "use 0 to below 1")
        if not isinstance(table_size, int) or table_size < 0:
            raise InputError(
                "table_size", table_size, "no number of examples", "use 0, or that of the data set"
            )
        if not math.isfinite(epsilon):
            raise InputError("epsilon", epsilon, "no number", "use 0, the paper's")
        self._update = WeightedUpdate(model, optimizer, loss_fn, accumulation_steps, max_grad_norm)
        self._replicas, self._forward = self._update.forward.replicas, self._update.forward
        module = self._replicas.module
        trainable(module)
        self._estimator = estimator_named(estimator) if isinstance(estimator, str) else estimator
        self._estimator.check(module)
        self._lookahead = lookahead_named(lookahead, optimizer, module, at_zero=not epsilon)
        self._epsilon, self._momentum = epsilon, score_momentum
        self._update_every, self._meta_gradient_every = update_every, meta_gradient_every
        self._clip, self._normalise = checked_rule(clip, normalise)
        holds = between == "hold" and update_every > 1
        self._held = ExampleTable(table_size, 1.0, self._replicas) if holds else None
        self._smoothed = ExampleTable(table_size, math.nan, self._replicas) if score_momentum else None
        self._timer: Timer = timer or (lambda phase: nullcontext())
        self._steps, self._directions = 0, 0
        self._direction: Direction | None = None
        self._monitor = HealthMonitor()
        self.skipped_steps = 0

    @property
    def warnings(self) -> list[FailureSignature]:
        """Failure signatures seen so far; each was logged once, with what to do."""
        return self._monitor.found

    def __call__(
        self,
        train_batch: Batch,
        meta_batch: Batch,
        index_B: Tensor | None = None,
        *,
        flush: bool = False,
    ) -> StepResult:
        """Make one training step.

        Args:
            train_batch: Inputs [B, …] and targets [B, …] of this rank.
            meta_batch: Clean inputs [M, …] and targets [M, …], this rank's share; read only on
                steps that compute weights.
            index_B: Positions of the examples in the data set, integers [B]; needed to hold weights
                and for momentum of scores.
            flush: Step the optimiser now, though fewer than `accumulation_steps` calls may have come; the
                mean is over those that have. At the end of an epoch, on all ranks.

        Raises:
            InputError: A batch is no pair of tensors of one length, positions are needed and missing or
                unusable, or the meta batch is empty.
            UnsupportedModelError: The estimator does not support the model.
            NonFiniteError: The meta loss or a score is NaN or infinite, on any rank. The training
                loss is not looked at, which would make every step wait for its update: see `loss`.
        """
        train_batch = checked_batch("train_batch", train_batch)
        if self._held is not None or self._smoothed is not None:
            reason = "weights and scores are kept by example"
            index_B = checked_positions(index_B, len(train_batch[1]), reason)
        with self._update.micro_batch(flush=flush):
            if self._steps % self._update_every == 0:
                result = self._scored_step(train_batch, checked_batch("meta_batch", meta_batch), index_B)
            else:
                weights_B, total = self._weights_between(train_batch, index_B)
                with self._timer("update"):
                    done = self._update.update(train_batch, weights_B, total)
                result = _result(done, weights_B)
        self.skipped_steps += result.skipped
        self._steps += 1
        return result

    def _scored_step(self, train_batch: Batch, meta_batch: Batch, index_B: Tensor | None) -> StepResult:
        named = self._replicas.module.named_parameters()
        shapes = {name: parameter.shape for name, parameter in named if parameter.requires_grad}
        if self._direction is not None and not self._direction.matches(shapes):
            self._direction = None  # some parameters have been frozen or set free since
        is_new = self._direction is None or self._directions % self._meta_gradient_every == 0
        epsilon_B = None
        if self._epsilon:
            size = self._replicas.sum(torch.tensor(float(len(train_batch[1])), device=train_batch[0].device))
            epsilon_B = (self._epsilon / size).expand(len(train_batch[1]))
        source = DirectionSource(
            self._forward,
            train_batch,
            meta_batch,
            self._lookahead,
            epsilon_B,
            None if is_new else self._direction,
            lambda: self._timer("meta_gradient"),
        )
        with self._timer("alignment"):
            scored = self._estimator.score(self._forward, train_batch, source)
        self._directions += 1
        cosine = None
        if is_new and self._direction is not None and source.direction is not None:
            cosine = source.direction.cosine(self._direction)
        self._direction = source.direction  # and the one before is gone when gradients are made
        with self._timer("weights"):
            weights_B, total = self._weigh(scored, index_B)
        with self._timer("update"):
            done = self._update.update_scored(scored, weights_B, total)
        for seen in self._monitor.observe(weights_B, skipped=done.skipped, direction_cosine=cosine):
            _LOGGER.warning("after %d steps: %s", self._steps + 1, seen.message)
        return _result(done, weights_B, scored.scores, cosine)

    @torch.no_grad()
    def _weigh(self, scored: ScoredBatch, index_B: Tensor | None) -> tuple[Tensor, float]:
        """Return weights, and the global sum of clipped scores."""
        scores_B, known = scored.scores, None
        if self._smoothed is not None and index_B is not None:
            known = self._smoothed.read(index_B).to(scores_B)
            mixed_B = self._momentum * known + (1 - self._momentum) * scores_B
            scores_B = torch.where(known.isnan(), scores_B, mixed_B)
        clipped_B = clipped(scores_B, self._clip)
        assert self._direction is not None
        meta_loss = self._direction.meta_loss
        # clipping would hide a score of −∞, and a broken meta loss need not show in the scores
        poison = 0.0 * (scores_B.sum() + meta_loss)
        totals = self._replicas.batch_totals(clipped_B.abs().sum() + poison, len(clipped_B))
        total = totals.weight.item()
        if not math.isfinite(total):
            raise NonFiniteError(self._steps, "scores" if meta_loss.isfinite() else "meta_loss")
        if index_B is not None and (self._smoothed is not None or self._held is not None):
            sizes = [int(size) for size in totals.sizes.tolist()]
            if self._smoothed is not None:
                self._smoothed.write(index_B, scores_B, sizes)
            if self._held is not None:
                self._held.write(index_B, normalised(clipped_B, totals, "mean_one"), sizes)
        return normalised(clipped_B, totals, self._normalise), total

    def _weights_between(self, train_batch: Batch, index_B: Tensor | None) -> tuple[Tensor, float]:
        """Return held or uniform weights, and their global sum before normalisation."""
        with self._timer("weights"), torch.no_grad():
            like = next(self._replicas.module.parameters())
            relative_B = like.new_ones(len(train_batch[1]))
            if self._held is not None and index_B is not None:
                relative_B = self._held.read(index_B).to(relative_B)
            totals = self._replicas.batch_totals(relative_B.abs().sum(), len(relative_B))
            rule: Normalise = "mean_one" if self._normalise == "mean_one" else "batch_sum"
            return normalised(relative_B, totals, rule), totals.weight.item()

    def state_dict(self) -> dict[str, Any]:
        """Return counters, held weights, smoothed scores and the last direction.

        Raises:
            InputError: Some calls of an optimiser step that accumulates are still to come.
        """
        if not self._update.is_between_steps:
            problem, remedy = (
                "gradients wait for the rest of their step",
                "pass flush=True to the call before",
            )
            raise InputError("accumulation_steps", "under way", problem, remedy)
        state: dict[str, Any] = {
            "steps": self._steps,
            "directions": self._directions,
            "skipped_steps": self.skipped_steps,
        }
        for name, table in (("held", self._held), ("smoothed", self._smoothed)):
            if table is not None:
                state[name] = table.state()
        if self._direction is not None:
            state["direction"] = self._direction.state()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            InputError: It was taken from a step with other options.
        """
        for name, table in (("held", self._held), ("smoothed", self._smoothed)):
            if (table is not None) != (name in state):
                found = sorted(set(state) - {"steps", "directions", "skipped_steps"})
                remedy = "give the step the options of the one whose state this is"
                raise InputError(
                    "state_dict", found, f"{name!r} is {'missing' if table else 'not kept'}", remedy
                )
        self._steps, self._directions = state["steps"], state["directions"]
        self.skipped_steps = state["skipped_steps"]
        for name, table in (("held", self._held), ("smoothed", self._smoothed)):
            if table is not None:
                table.load(state[name])
        self._direction = None
        if "parts" in state.get("direction", {}):  # one of an earlier release is recomputed
            device = next(self._replicas.module.parameters()).device
            self._direction = Direction.of_state(state["direction"], device)


def _result(
    done: UpdateResult, weights_B: Tensor, scores_B: Tensor | None = None, cosine: Tensor | None = None
) -> StepResult:
    return StepResult(done.loss, weights_B, scores_B, done.skipped, done.losses, cosine)


def _check_count(**counts: int) -> None:
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise InputError(name, count, "no number of steps", "use 1 or more")
