"""Plain training, the baseline."""

from l2rw_ray.config.method.methods import UniformConfig
from l2rw_ray.data import Batch
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.methods.weighted_step import WeightedStep


@METHODS.register("uniform")
class UniformMethod(StatelessMethod):
    """Train with weight 1/B for every example of the global batch."""

    def __init__(self, config: UniformConfig, context: TrainingContext) -> None:
        self._step = WeightedStep(context)

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the mean loss."""
        return self._step.plain(batch)
