"""Which class implements which arm."""

from l2rw_ray.config.method import Method
from l2rw_ray.methods.interface import Arm, ArmFactory, TrainingContext
from l2rw_ray.registry import Registry

ARMS: Registry[ArmFactory] = Registry("method.name")


def build_arm(config: Method, context: TrainingContext) -> Arm:
    """The arm that a trial's `method` section asks for."""
    return ARMS.get(config.name)(config, context)
