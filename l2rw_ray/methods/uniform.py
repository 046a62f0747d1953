"""Plain training, the arm everything else is compared with."""

from typing import Any

from l2rw_ray.config.method import UniformMethod
from l2rw_ray.data import Batch
from l2rw_ray.meta import Replicas, weighted_update
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import ARMS


@ARMS.register("uniform")
class UniformArm:
    """Every example of the global batch weighs 1/B."""

    def __init__(self, config: UniformMethod, context: TrainingContext) -> None:
        self._context = context
        self._replicas = Replicas.of(context.model)

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """One optimiser step on the mean loss."""
        weights_B = batch.x.new_full((len(batch.index),), 1.0 / batch.global_size)
        context = self._context
        loss = weighted_update(
            context.model, context.optimizer, context.loss_fn, (batch.x, batch.y), weights_B, self._replicas
        )
        return StepOutcome(loss)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the arm has no state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""
