"""Plain training, then a few epochs on the clean examples."""

from l2rw_ray.config.method.stages import FinetuneMetaConfig
from l2rw_ray.data import Batch
from l2rw_ray.methods.builtin.meta_only import MetaStep
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.methods.weighted_step import WeightedStep


@METHODS.register("finetune_meta")
class FinetuneMetaMethod(StatelessMethod):
    """Train the last epochs on the meta set, at `lr_factor` × `optim.lr` to begin with.

    Source: the baseline "finetune" of Ren et al. 2018, section 4.3, which is 5,000 steps in their code. These
    epochs have as many steps as the others; the optimiser keeps its state, and the schedule begins
    anew. The trainer sets the rate: see `FinetuneMetaConfig.stages`.
    """

    def __init__(self, config: FinetuneMetaConfig, context: TrainingContext) -> None:
        self._plain, self._meta = WeightedStep(context), MetaStep(context)
        self._finetuned_from = context.epochs - config.finetune_epochs

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the mean loss of train, later of meta examples."""
        return self._plain.plain(batch) if epoch < self._finetuned_from else self._meta(batch, number)
