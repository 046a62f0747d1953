"""One training step on the loss weighted by the meta set.

Shape suffixes: B train batch of this rank, M its meta batch.
"""

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from l2rw_ray.errors import InputError, NonFiniteError
from l2rw_ray.meta.alignment import Estimator, ScoredBatch
from l2rw_ray.meta.batch_weights import BatchWeights
from l2rw_ray.meta.checked_estimator import VERIFY_EVERY, CheckedEstimator
from l2rw_ray.meta.diagnostics import FailureSignature, HealthMonitor
from l2rw_ray.meta.direction import Direction, DirectionSource
from l2rw_ray.meta.evaluation.batches import (
    Batch,
    Collate,
    batch_device,
    batch_size,
    checked_batch,
    checked_pair,
)
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.losses import Losses, LossFunction, losses_from, trained_parameters
from l2rw_ray.meta.lookahead import lookahead_named
from l2rw_ray.meta.replicas import Replicas
from l2rw_ray.meta.scored_step import ScoredStep, StepResult
from l2rw_ray.meta.update import WeightedUpdate
from l2rw_ray.meta.weights import Clip, Normalise
from l2rw_ray.trees import tensors_of

Timer = Callable[[str], AbstractContextManager[None]]
"""Measures the block it is entered around, by phase name."""
_LOGGER = logging.getLogger(__name__)


class ReweightedStep:
    """Learning to reweight (Ren et al. 2018, Algorithm 1), a step at a time.

    Args:
        model: Network, or one that is, wraps or holds a DistributedDataParallel, whose ranks step together.
        optimizer: Steps on all of the model's parameters; or several, each on a part. None where only
            `score` is called and the caller steps.
        loss_fn: Maps (output, target) to one loss per example; batches are then pairs of inputs and targets.
        losses: Maps (model, batch) to one loss per example, [B], in place of `loss_fn`.
        collate: Joins a train and a meta batch that differ in shape, by padding, the train rows first, for
            one pass over both; `losses` must then not look beyond each example.
        estimator: How alignments are computed; see `example_scores`.
        verify_every: Steps that compute weights, from one comparison of the estimator with plain autograd
            to the next; 0 for none. There is one at the first, at any whose batch has rows where no check has
            seen them, and whenever the model, its mode or the precision changes.
        max_error: Relative error of scores that an estimator which is not exact may have: None for 0.01 of
            `finite_difference` when `auto` takes it, the cheapest for some models, and 0.1 of one that is
            named, beyond which it is an error; with 0 `auto` takes exact ones alone.
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
        replicas: The ranks that step together; None for those of the model.
        scaler: Scales the gradient of a step in float16, where the step is called under such an autocast.
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
        optimizer: Optimizer | Sequence[Optimizer] | None,
        loss_fn: LossFunction | None = None,
        *,
        losses: Losses | None = None,
        collate: Collate | None = None,
        estimator: str | Estimator = "auto",
        verify_every: int = VERIFY_EVERY,
        max_error: float | None = None,
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
        replicas: Replicas | None = None,
        scaler: GradScaler | None = None,
        timer: Timer | None = None,
    ) -> None:
        _check_count(update_every=update_every, meta_gradient_every=meta_gradient_every)
        _check_options(between, epsilon)
        self._is_paired = losses is None
        self._update: WeightedUpdate | None = None
        if optimizer is None:
            _check_unset(update_every=(update_every, 1), accumulation_steps=(accumulation_steps, 1))
            _check_unset(max_grad_norm=(max_grad_norm, None), scaler=(scaler, None))
            evaluated = losses_from(loss_fn, losses)
            self._forward = Forward(Replicas.given(replicas, model), evaluated, collate=collate)
        else:
            self._update = WeightedUpdate(
                model,
                optimizer,
                loss_fn,
                accumulation_steps,
                max_grad_norm,
                losses=losses,
                collate=collate,
                replicas=replicas,
                scaler=scaler,
            )
            self._forward = self._update.forward
        self._replicas = self._forward.replicas
        module = self._replicas.module
        trained_parameters(module)
        self._estimator = CheckedEstimator(estimator, verify_every=verify_every, max_error=max_error)
        self._estimator.check(self._replicas)
        self._lookahead = lookahead_named(lookahead, optimizer, module, at_zero=not epsilon)
        self._epsilon, self._options = epsilon, {"lookahead": lookahead, "epsilon": epsilon}
        self._update_every, self._meta_gradient_every = update_every, meta_gradient_every
        self._weights = BatchWeights(
            clip,
            normalise,
            holds=between == "hold" and update_every > 1,
            score_momentum=score_momentum,
            table_size=table_size,
            replicas=self._replicas,
        )
        self._timer = _checked_timer(timer)
        self._steps, self._directions = 0, 0
        self._direction: Direction | None = None
        self._monitor = HealthMonitor()
        self.skipped_steps = 0

    @property
    def estimator(self) -> str:
        """Name of the estimator in use, or to be tried next."""
        return self._estimator.name

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
            train_batch: What the model is trained on, this rank's share: a pytree whose tensors hold one row
                for each of the B examples, such as a pair of inputs [B, …] and targets [B, …], or a dict.
            meta_batch: Clean examples in the same form, M of them, this rank's share; read only on
                steps that compute weights.
            index_B: Positions of the examples in the data set, integers [B]; needed to hold weights
                and for momentum of scores.
            flush: Step the optimiser now, though fewer than `accumulation_steps` calls may have come; the
                mean is over those that have. At the end of an epoch, on all ranks.

        Raises:
            InputError: A batch has no rows or unequal numbers of them, positions are needed and missing or
                unusable, or the meta batch is empty.
            UnsupportedModelError: The estimator does not support the model, or its results differ from
                plain autograd's.
            NonFiniteError: The meta loss or a score is NaN or infinite, on any rank. The training
                loss is not looked at, which would make every step wait for its update: see `loss`.
        """
        if self._update is None:
            raise InputError("optimizer", None, "nothing can be stepped", "pass one, or call score and step")
        train_batch, index_B = self._checked(train_batch, index_B)
        with self._update.micro_batch(flush=flush):
            if self._steps % self._update_every == 0:
                scored = self.score(train_batch, meta_batch, index_B)
                with self._timer("update"):
                    done = self._update.update_scored(scored.batch, scored.weights, scored.total)
                result = StepResult(
                    done.loss,
                    scored.weights,
                    scored.scores,
                    done.skipped,
                    done.losses,
                    scored.direction_cosine,
                    scored.certificate,
                )
            else:
                with self._timer("weights"):
                    weights_B, total = self._weights.between(batch_size(train_batch), index_B)
                with self._timer("update"):
                    done = self._update.update(train_batch, weights_B, total)
                result = StepResult(done.loss, weights_B, None, done.skipped, done.losses)
                self._steps += 1
        self.skipped_steps += result.skipped
        return result

    def score(self, train_batch: Batch, meta_batch: Batch, index_B: Tensor | None = None) -> ScoredStep:
        """Evaluate and score a train batch, and leave its backward and the optimiser's step to the caller.

        Args:
            train_batch: What the model is trained on, this rank's share.
            meta_batch: Clean examples in the same form, this rank's share.
            index_B: Positions of the examples in the data set, integers [B]; needed to hold weights
                and for momentum of scores.

        Raises:
            InputError: As when the step is called.
            UnsupportedModelError: As when the step is called.
            NonFiniteError: As when the step is called.
        """
        train_batch, index_B = self._checked(train_batch, index_B)
        meta_batch = self._checked_batch("meta_batch", meta_batch)
        self._replicas.prepare()
        named = trained_parameters(self._replicas.module).items()
        shapes = {name: parameter.shape for name, parameter in named}
        if self._direction is not None and not self._direction.matches(shapes):
            self._direction = None  # some parameters have been frozen or set free since
        is_new = self._direction is None or self._directions % self._meta_gradient_every == 0
        source = DirectionSource(
            self._forward,
            train_batch,
            meta_batch,
            self._lookahead,
            self._epsilon_of(train_batch),
            None if is_new else self._direction,
            lambda: self._timer("meta_gradient"),
        )
        scored, weights_B, total = self._scored_and_weighed(train_batch, source, index_B)
        self._directions += 1
        cosine = None
        if is_new and self._direction is not None and source.direction is not None:
            cosine = source.direction.cosine(self._direction)
        self._direction = source.direction  # and the one before is gone when gradients are made
        for seen in self._monitor.observe(weights_B, skipped=not total, direction_cosine=cosine):
            _LOGGER.warning("after %d steps: %s", self._steps + 1, seen.message)
        self._steps += 1
        return ScoredStep(
            scored.scores,
            weights_B,
            scored.losses,
            cosine,
            self._estimator.certificate,
            total,
            scored,
            self._replicas,
            tuple(tensors_of(train_batch)),
        )

    def _scored_and_weighed(
        self, train_batch: Batch, source: DirectionSource, index_B: Tensor | None
    ) -> tuple[ScoredBatch, Tensor, float]:
        """Score and weigh a batch, and again by another estimator where a check finds the scores wrong.

        Returns:
            Scores, weights [B], the global sum of clipped scores.
        """
        while True:
            with self._timer("alignment"):
                scored = self._estimator.score(self._forward, train_batch, source)
            assert source.direction is not None
            meta_loss = source.direction.meta_loss
            with self._timer("weights"):
                summed = self._weights.summed(
                    scored.scores, meta_loss, index_B, is_unchecked=self._estimator.is_unchecked
                )
                if not math.isfinite(summed.total):
                    self._direction = None  # a later step must not use it again
                    raise NonFiniteError(self._steps, "scores" if meta_loss.isfinite() else "meta_loss")
                if not summed.is_unchecked or self._estimator.recheck(self._forward, train_batch, source):
                    return scored, self._weights.of_scores(summed, index_B), summed.total

    def _checked(self, train_batch: Batch, index_B: Tensor | None) -> tuple[Batch, Tensor | None]:
        train_batch = self._checked_batch("train_batch", train_batch)
        return train_batch, self._weights.checked_positions(index_B, batch_size(train_batch))

    def _checked_batch(self, name: str, batch: Batch) -> Batch:
        return checked_batch(name, checked_pair(name, batch) if self._is_paired else batch)

    def _epsilon_of(self, train_batch: Batch) -> Tensor | None:
        """Return ε0 [B] of this rank's examples; None for zero."""
        if not self._epsilon:
            return None
        count = torch.tensor(float(batch_size(train_batch)), device=batch_device(train_batch))
        return (self._epsilon / self._replicas.sum(count)).expand(batch_size(train_batch))

    def state_dict(self) -> dict[str, Any]:
        """Return counters, held weights, smoothed scores and the last direction.

        Raises:
            InputError: Some calls of an optimiser step that accumulates are still to come.
        """
        if self._update is not None and not self._update.is_between_steps:
            problem, remedy = (
                "gradients wait for the rest of their step",
                "pass flush=True to the call before",
            )
            raise InputError("accumulation_steps", "under way", problem, remedy)
        state: dict[str, Any] = {
            "steps": self._steps,
            "directions": self._directions,
            "skipped_steps": self.skipped_steps,
            "estimator": self._estimator.state_dict(),
        }
        state |= self._weights.state_dict()
        if self._direction is not None:
            state["direction"] = {**self._direction.state(), **self._options}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Raises:
            InputError: It was taken from a step with other options.
        """
        if not isinstance(state, dict) or not {"steps", "directions", "skipped_steps"} <= state.keys():
            problem = "no state of a ReweightedStep"
            raise InputError("state_dict", type(state).__name__, problem, "give what its state_dict returned")
        direction = state.get("direction", {})
        for name, own in self._options.items():
            if direction.get(name, own) != own:
                remedy = "give the step the options of the one whose state this is"
                raise InputError("state_dict", f"{name}={direction[name]!r}", f"not {own!r}", remedy)
        self._weights.load_state_dict(state)
        self._steps, self._directions = state["steps"], state["directions"]
        self.skipped_steps = state["skipped_steps"]
        if "estimator" in state:
            self._estimator.load_state_dict(state["estimator"])
        self._direction = None
        if "parts" in direction:  # one of an earlier release is recomputed
            device = next(self._replicas.module.parameters()).device
            self._direction = Direction.of_state(direction, device)


def _no_timer(phase: str) -> AbstractContextManager[None]:
    return nullcontext()


def _checked_timer(timer: Timer | None) -> Timer:
    """Return the caller's timer, or one that measures nothing."""
    if timer is not None and not callable(timer):
        remedy = "pass a function of a phase's name that returns a context manager"
        raise InputError("timer", type(timer).__name__, "cannot be called", remedy)
    return timer or _no_timer


def _check_count(**counts: int) -> None:
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise InputError(name, count, "no number of steps", "use 1 or more")


def _check_options(between: str, epsilon: float) -> None:
    """Check the options that each have a range of their own."""
    if between not in ("hold", "uniform"):
        raise InputError("between", between, "unknown", "use hold or uniform")
    if not isinstance(epsilon, int | float) or not math.isfinite(epsilon):
        raise InputError("epsilon", epsilon, "no number", "use 0, the paper's")


def _check_unset(**options: tuple[object, object]) -> None:
    """Check that options of a call that steps the optimiser have their defaults, where there is none."""
    for name, (value, default) in options.items():
        if value != default:
            remedy = "leave it out, or pass the optimizer"
            raise InputError(name, value, "without an optimizer the caller does this", remedy)
