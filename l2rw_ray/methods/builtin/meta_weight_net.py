"""Meta-Weight-Net, Shu et al. 2019 (arXiv:1902.07379): the weight is a learned function of the loss."""

from l2rw_ray.config.method.methods import MetaWeightNetConfig
from l2rw_ray.methods.interface import Arm, TrainingContext
from l2rw_ray.methods.learned_weights import LearnedWeightsArm
from l2rw_ray.methods.registry import ARMS


@ARMS.register("meta_weight_net")
def meta_weight_net(config: MetaWeightNetConfig, context: TrainingContext) -> Arm:
    """z_i is the loss of the example, through which nothing is differentiated.

    How far that is what was published: `LearnedWeightsArm`.
    """
    return LearnedWeightsArm(config, context, 1, lambda losses_B, index_B: losses_B.unsqueeze(1))
