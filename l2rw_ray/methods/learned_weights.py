"""Weights that are a learned function of an example's features, taught by the exact, cheap scores.

The weights of a batch are w_i = V(z_i; φ) / Σ_j V(z_j; φ). With u_i = −∂L_meta/∂w_i, the scores of the
core at ε0 = w, no second derivative is needed: ∂L_meta/∂V_j = −(u_j − Σ_i w_i u_i) / Σ_i V(z_i; φ).

Shape suffixes: B train batch of this rank, F features.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from l2rw_ray.config.method.methods import MetaWeightNetConfig, WeightModelConfig
from l2rw_ray.data import Batch
from l2rw_ray.errors import NonFiniteError
from l2rw_ray.meta import WeightedUpdate
from l2rw_ray.meta.checked_estimator import CheckedEstimator
from l2rw_ray.meta.direction import Direction, DirectionSource
from l2rw_ray.meta.evaluation.losses import trainable
from l2rw_ray.meta.lookahead import lookahead_named
from l2rw_ray.meta.step import Timer
from l2rw_ray.meta.weights import normalised
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.weight_network import WeightNetwork

Features = Callable[[Tensor, Tensor], Tensor]
"""Maps losses [B], detached, and positions in the train set [B] to z, [B, F]."""


class LearnedWeightsMethod:
    """Train the weight network on the meta loss, and the network on the loss that it weights.

    A step that updates φ evaluates the meta loss after a lookahead with the present weights, makes one step
    of Adam on φ, and weights the same batch with the new φ. Losses and alignments come from one forward
    pass, which the network is then trained on.

    Source: Shu et al. 2019, equations 3 to 5; `lookahead="sgd"` is theirs: plain SGD at the trial's
    learning rate, without momentum and decay.

    Deviations: weights are divided by their sum over the global batch, as in one version of the
    published code, and φ's gradient goes through that sum; the paper and another version divide by B,
    which lets all weights shrink together. The published code evaluates the train batch twice, so that
    dropout masks differ between φ's step and the network's, and BatchNorm's statistics are updated
    twice. A meta batch is `meta_batch_size`, all of the meta set by default, instead of the train
    batch's size.

    Args:
        config: The method's section.
        context: What the trial trains with.
        inputs: F.
        features: Computes z.
    """

    def __init__(
        self,
        config: MetaWeightNetConfig | WeightModelConfig,
        context: TrainingContext,
        inputs: int,
        features: Features,
    ) -> None:
        self._context, self._features = context, features
        self._update = WeightedUpdate(
            context.model, context.optimizer, context.loss_fn, **context.update_options
        )
        self._replicas = self._update.forward.replicas
        module = self._replicas.module
        self._estimator = CheckedEstimator(
            config.estimator, verify_every=config.verify_every, max_error=config.max_error
        )
        self._estimator.check(self._replicas)
        self._is_at_zero = config.lookahead == "zero"
        self._lookahead = lookahead_named(
            config.lookahead, context.optimizer, module, at_zero=self._is_at_zero
        )
        like = next(iter(trainable(module).values()))
        self._network = WeightNetwork(inputs, config, context.seed, like, self._replicas)
        self._update_every = config.steps_per_weight_update
        self._timer: Timer = context.timer or (lambda phase: nullcontext())
        self._steps = 0
        self._direction: Direction | None = None

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one step of the optimiser, after one of the weight network where that is due."""
        is_due = self._steps % self._update_every == 0
        with self._update.micro_batch(flush=batch.is_last):
            outcome = self._learning_step(batch, number) if is_due else self._weighted_step(batch)
        self._steps += 1
        return outcome

    def _learning_step(self, batch: Batch, number: int) -> StepOutcome:
        context, own = self._context, (batch.x, batch.y)
        meta = context.meta.batch(number // self._update_every, context.rank, context.world_size)
        epsilon = None if self._is_at_zero else (lambda losses_B: self._weights(losses_B, batch.index)[0])
        source = DirectionSource(
            self._update.forward,
            own,
            meta,
            self._lookahead,
            epsilon,
            phase=lambda: self._timer("meta_gradient"),
        )
        with self._timer("alignment"):
            scored = self._estimator.score(self._update.forward, own, source)
        assert source.direction is not None
        cosine = None if self._direction is None else source.direction.cosine(self._direction)
        self._direction = source.direction
        with self._timer("weights"):
            self._learn(scored.losses, scored.scores, batch.index)
            weights_B, total = self._weights(scored.losses, batch.index)
        with self._timer("update"):
            done = self._update.update_scored(scored, weights_B, total)
        return StepOutcome(
            done.loss,
            done.losses,
            weights_B,
            done.skipped,
            cosine,
            estimator=self._estimator.name,
            certificate=self._estimator.certificate,
            scores_B=scored.scores,
        )

    def _weighted_step(self, batch: Batch) -> StepOutcome:
        with self._timer("update"):
            done, weights_B = self._update.update_by_losses(
                (batch.x, batch.y), lambda losses_B: self._weights(losses_B, batch.index)
            )
        return StepOutcome(done.loss, done.losses, weights_B, done.skipped)

    @torch.no_grad()
    def _weights(self, losses_B: Tensor, index_B: Tensor) -> tuple[Tensor, float]:
        """Return weights [B] with sum 1 over the global batch, and the sum of V there; one all-reduce."""
        values_B = self._network(self._features(losses_B, index_B))
        totals = self._replicas.batch_totals(values_B.sum(), len(values_B))
        return normalised(values_B, totals, "batch_sum"), totals.weight.item()

    @torch.no_grad()
    def _learn(self, losses_B: Tensor, scores_B: Tensor, index_B: Tensor) -> None:
        """Make one step of Adam on φ; two all-reduces."""
        assert self._direction is not None
        z_BF = self._features(losses_B, index_B)
        values_B = self._network(z_BF)
        scores_B = scores_B.to(values_B)
        if self._is_at_zero:  # scores at zero leave out the learning rate
            scores_B = scores_B * float(self._context.optimizer.param_groups[0]["lr"])
        meta_loss = self._direction.meta_loss
        poison = 0.0 * meta_loss  # a broken meta loss need not show in the scores
        sums = torch.stack([values_B.sum(), (values_B * scores_B).sum() + poison])
        total, weighted = self._replicas.sum(sums).tolist()
        if not math.isfinite(total + weighted):
            raise NonFiniteError(self._steps, "scores" if meta_loss.isfinite() else "meta_loss")
        if total:
            self._network.learn(z_BF, -(scores_B - weighted / total) / total)

    def state_dict(self) -> dict[str, Any]:
        """Return φ, Adam's moments, the last direction, the number of steps and the estimator in use."""
        state: dict[str, Any] = {
            "steps": self._steps,
            "network": self._network.state_dict(),
            "estimator": self._estimator.state_dict(),
        }
        if self._direction is not None:
            state["direction"] = self._direction.state()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self._steps = state["steps"]
        self._network.load_state_dict(state["network"])
        if "estimator" in state:  # not in that of an earlier release
            self._estimator.load_state_dict(state["estimator"])
        self._direction = None
        if "direction" in state:
            device = next(self._network.module.parameters()).device
            self._direction = Direction.of_state(state["direction"], device)
