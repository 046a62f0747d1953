"""Train on the meta set itself."""

from dataclasses import replace

from l2rw_ray.config.method.stages import MetaOnlyConfig
from l2rw_ray.data import Batch, MetaSampler
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.methods.weighted_step import WeightedStep


class MetaStep:
    """Plain steps on batches of min(B, M) meta examples, in cycles through the meta set.

    Images are augmented as train images are.
    """

    def __init__(self, context: TrainingContext) -> None:
        meta = context.meta.examples
        self._size = min(context.batch_size, len(meta))
        self._meta = MetaSampler(meta, self._size, context.seed, augment=context.augment)
        self._context, self._step = context, WeightedStep(context)

    def __call__(self, batch: Batch, number: int) -> StepOutcome:
        """Make one step on a meta batch in place of the train batch."""
        x, y = self._meta.batch(number, self._context.rank, self._context.world_size)
        outcome = self._step.plain(replace(batch, x=x, y=y, global_size=self._size))
        return replace(outcome, is_on_batch=False)


@METHODS.register("meta_only")
class MetaOnlyMethod(StatelessMethod):
    """Train on the meta set alone, to show what its examples achieve without the train set.

    An epoch has as many steps as one over the train set. `train_loss` is that of the meta examples.
    """

    def __init__(self, config: MetaOnlyConfig, context: TrainingContext) -> None:
        self._step = MetaStep(context)

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the mean loss of meta examples."""
        return self._step(batch, number)
