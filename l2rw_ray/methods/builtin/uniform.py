"""Plain training, the method everything else is compared with."""

from l2rw_ray.config.method.methods import UniformConfig
from l2rw_ray.data import Batch
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.methods.weighted_step import WeightedStep


@METHODS.register("uniform")
class UniformMethod(StatelessMethod):
    """Every example of the global batch weighs 1/B."""

    def __init__(self, config: UniformConfig, context: TrainingContext) -> None:
        self._step = WeightedStep(context)

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """One optimiser step on the mean loss."""
        return self._step.plain(batch)
