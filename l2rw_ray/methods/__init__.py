"""The arms of a study: each decides how one batch becomes one optimiser step."""

from l2rw_ray.methods import l2rw, meta_weight_net, random, uniform, weight_model
from l2rw_ray.methods.interface import Arm, Epoch, StagedArm, StepOutcome, TrainingContext
from l2rw_ray.methods.registry import build_arm

__all__ = [
    "Arm",
    "Epoch",
    "StagedArm",
    "StepOutcome",
    "TrainingContext",
    "build_arm",
    "l2rw",
    "meta_weight_net",
    "random",
    "uniform",
    "weight_model",
]
