"""Just train twice: upweight the examples that a first model misclassifies."""

import torch
from torch import Tensor

from l2rw_ray.config.method.stages import JttConfig
from l2rw_ray.methods.interface import TrainingContext
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.two_stages import TwoStageMethod
from l2rw_ray.methods.whole_set import outputs_of


@METHODS.register("jtt")
class JttMethod(TwoStageMethod):
    """Weight examples that the first model misclassifies by λ, the others by 1.

    Source: Liu et al. 2021, Algorithm 1 and equation 4; they tune T (`first_epochs`) and λ (`upweight`),
    the defaults here are theirs for CivilComments. Deviations: both models share one optimiser's
    settings and the trial's epochs, and a step's weights are divided by their sum; their code repeats
    examples λ times instead, which makes its epochs longer.
    """

    def __init__(self, config: JttConfig, context: TrainingContext) -> None:
        super().__init__(config, context)
        self._upweight = config.upweight

    def compute_weights(self, step: int) -> Tensor:
        """Return λ where the prediction is not the given label, else 1."""
        train = self._context.train
        is_error_N = outputs_of(train, self._context, step).argmax(dim=1) != train.labels
        return torch.where(is_error_N, self._upweight, 1.0)

    def metrics(self, weights_N: Tensor) -> dict[str, float]:
        """Return `error_set_fraction` and `error_set_corrupted_fraction`."""
        return self.share_metrics("error_set", weights_N > 1)
