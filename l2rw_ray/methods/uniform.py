"""Plain training, the arm everything else is compared with."""

from typing import Any

from l2rw_ray.config.method import UniformMethod
from l2rw_ray.data import Batch
from l2rw_ray.meta import WeightedUpdate
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import ARMS


@ARMS.register("uniform")
class UniformArm:
    """Every example of the global batch weighs 1/B."""

    def __init__(self, config: UniformMethod, context: TrainingContext) -> None:
        self._update = WeightedUpdate(
            context.model, context.optimizer, context.loss_fn, **context.update_options
        )

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """One optimiser step on the mean loss."""
        weights_B = batch.x.new_full((len(batch.index),), 1.0 / batch.global_size)
        with self._update.micro_batch(flush=batch.is_last):
            done = self._update.update((batch.x, batch.y), weights_B, total=1.0)
        return StepOutcome(done.loss, done.losses)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the arm has no state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""
