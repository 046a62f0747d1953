"""The arms of a study: each decides how one batch becomes one optimiser step."""

from l2rw_ray.methods import heteroscedastic, l2rw, random, uniform
from l2rw_ray.methods.interface import Arm, Epoch, StagedArm, StepOutcome, TrainingContext
from l2rw_ray.methods.registry import build_arm

__all__ = [
    "Arm",
    "Epoch",
    "StagedArm",
    "StepOutcome",
    "TrainingContext",
    "build_arm",
    "heteroscedastic",
    "l2rw",
    "random",
    "uniform",
]
