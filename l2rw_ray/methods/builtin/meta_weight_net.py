"""Meta-Weight-Net, Shu et al. 2019 (arXiv:1902.07379): the weight is a learned function of the loss."""

from l2rw_ray.config.method.methods import MetaWeightNetConfig
from l2rw_ray.methods.interface import Method, TrainingContext
from l2rw_ray.methods.learned_weights import LearnedWeightsMethod
from l2rw_ray.methods.registry import METHODS


@METHODS.register("meta_weight_net")
def meta_weight_net(config: MetaWeightNetConfig, context: TrainingContext) -> Method:
    """Build the method: z_i is the example's loss, which is not differentiated.

    `LearnedWeightsMethod` lists the deviations from the paper.
    """
    return LearnedWeightsMethod(config, context, 1, lambda losses_B, index_B: losses_B.unsqueeze(1))
