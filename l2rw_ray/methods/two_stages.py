"""Methods that weight the train examples by a first model, and train a second from scratch.

Shape suffixes: N train examples.
"""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from l2rw_ray.config.method.stages import TwoStageConfig
from l2rw_ray.data import Batch, steps_per_epoch
from l2rw_ray.methods.interface import Epoch, StepOutcome, TrainingContext
from l2rw_ray.methods.weighted_step import WeightedStep
from l2rw_ray.methods.whole_set import from_first_rank


class TwoStageMethod(ABC):
    """Plain training for `first_epochs`, then training from scratch on weighted examples.

    The stages share the trial's epochs. The second starts from the initial parameters of the first.
    """

    def __init__(self, config: TwoStageConfig, context: TrainingContext) -> None:
        self._context, self._step = context, WeightedStep(context)
        self._first_epochs = config.first_epochs
        self._weights_N: Tensor | None = None

    @abstractmethod
    def compute_weights(self, step: int) -> Tensor:
        """Return the weights [N] of the train examples in the second stage, from the model of the first.

        Args:
            step: Steps made so far, for error messages.
        """

    def metrics(self, weights_N: Tensor) -> dict[str, float]:
        """Return metrics of the weights, by name."""
        return {}

    def begin_epoch(self, epoch: int) -> Epoch:
        """Compute weights and restart when the first stage is over."""
        if epoch < self._first_epochs:
            return Epoch()
        if self._weights_N is None:
            context = self._context
            steps = steps_per_epoch(context.train_size, context.batch_size, context.world_size)
            self._weights_N = from_first_rank(self.compute_weights(epoch * steps), context)
            context.restart()
        return self.second_stage(epoch, self._weights_N)

    def second_stage(self, epoch: int, weights_N: Tensor) -> Epoch:
        """Return the examples of an epoch of the second stage: the train set."""
        return Epoch(metrics=self.metrics(weights_N))

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the mean, later the weighted loss."""
        if self._weights_N is None:
            return self._step.plain(batch)
        return self._step.weighted(batch, self._weights_N[batch.index])

    def share_metrics(self, name: str, chosen_N: Tensor) -> dict[str, float]:
        """Return the share of chosen examples, and that of wrong ones among their known labels."""
        train = self._context.train
        known_N = (train.corrupted | train.clean) & chosen_N
        metrics = {f"{name}_fraction": chosen_N.double().mean().item()}
        if train.corrupted.any() and known_N.any():
            metrics[f"{name}_corrupted_fraction"] = train.corrupted[known_N].double().mean().item()
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Return the weights of the second stage, None before it."""
        return {"weights_N": self._weights_N}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        weights_N = state["weights_N"]
        self._weights_N = None if weights_N is None else weights_N.to(self._context.train.labels.device)
