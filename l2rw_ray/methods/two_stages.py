"""Methods that judge the train examples by a first model, and begin anew.

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
    """Plain training for `first_epochs`; then fresh weights, and training on weighted examples.

    The stages together take the trial's epochs. The second one starts from the initial weights of the
    first.
    """

    def __init__(self, config: TwoStageConfig, context: TrainingContext) -> None:
        self._context, self._step = context, WeightedStep(context)
        self._first_epochs = config.first_epochs
        self._weights_N: Tensor | None = None

    @abstractmethod
    def judge(self, step: int) -> Tensor:
        """Weights [N] of the train examples in the second stage, by the model of the first.

        Args:
            step: Steps made so far, for errors.
        """

    def metrics(self, weights_N: Tensor) -> dict[str, float]:
        """What the method has to tell of the examples it judged."""
        return {}

    def begin_epoch(self, epoch: int) -> Epoch:
        """Judge and begin anew when the first stage is over."""
        if epoch < self._first_epochs:
            return Epoch()
        if self._weights_N is None:
            context = self._context
            steps = steps_per_epoch(context.train_size, context.batch_size, context.world_size)
            self._weights_N = from_first_rank(self.judge(epoch * steps), context)
            context.restart()
        return self.second_stage(epoch, self._weights_N)

    def second_stage(self, epoch: int, weights_N: Tensor) -> Epoch:
        """What an epoch of the second stage goes through: the train set."""
        return Epoch(metrics=self.metrics(weights_N))

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """One optimiser step on the mean, later the weighted loss."""
        if self._weights_N is None:
            return self._step.plain(batch)
        return self._step.weighted(batch, self._weights_N[batch.index])

    def share_metrics(self, name: str, chosen_N: Tensor) -> dict[str, float]:
        """Share of the examples that was chosen, and where labels are known to be wrong, theirs in it."""
        corrupted_N = self._context.train.corrupted
        metrics = {f"{name}_fraction": chosen_N.double().mean().item()}
        if corrupted_N.any() and chosen_N.any():
            metrics[f"{name}_corrupted_fraction"] = corrupted_N[chosen_N].double().mean().item()
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """The weights of the second stage, None before it."""
        return {"weights_N": self._weights_N}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where an earlier attempt stood."""
        weights_N = state["weights_N"]
        self._weights_N = None if weights_N is None else weights_N.to(self._context.train.labels.device)
