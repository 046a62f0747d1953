"""Learning to reweight: Ren et al. 2018, Algorithm 1, with the exact, cheap scores of `meta`."""

from typing import Any

from l2rw_ray.config.method.methods import L2RWConfig
from l2rw_ray.data import Batch
from l2rw_ray.meta import ReweightedStep
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import METHODS


@METHODS.register("l2rw")
class L2RWMethod:
    """Weight examples by the alignment of their gradients with that of the meta set."""

    def __init__(self, config: L2RWConfig, context: TrainingContext) -> None:
        self._meta = context.meta
        self._rank, self._world_size = context.rank, context.world_size
        self._is_uniform_between = config.between == "uniform"
        self._meta_every = config.steps_per_meta_gradient
        self._step = ReweightedStep(
            context.model,
            context.optimizer,
            context.loss_fn,
            estimator=config.estimator,
            verify_every=config.verify_every,
            max_error=config.max_error,
            update_every=config.steps_per_weight_update,
            between=config.between,
            table_size=context.train_size,
            clip=config.clip,
            normalise=config.normalise,
            lookahead=config.lookahead,
            epsilon=config.epsilon,
            meta_gradient_every=config.meta_gradient_every,
            score_momentum=config.score_momentum,
            timer=context.timer,
            **context.update_options,
        )

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the reweighted loss."""
        meta = self._meta.batch(number // self._meta_every, self._rank, self._world_size)
        result = self._step((batch.x, batch.y), meta, batch.index, flush=batch.is_last)
        is_scored = result.scores is not None
        return StepOutcome(
            result.loss,
            result.losses,
            None if not is_scored and self._is_uniform_between else result.weights,
            result.skipped,
            result.direction_cosine,
            has_new_weights=is_scored,
            estimator=self._step.estimator if is_scored else None,
            certificate=result.certificate,
            scores_B=result.scores,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the step: counters, held weights, smoothed scores, the last direction."""
        return self._step.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self._step.load_state_dict(state)
