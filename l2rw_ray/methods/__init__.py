"""The arms of a study: each decides how one batch becomes one optimiser step."""

from l2rw_ray.methods.builtin import (
    class_weights,
    finetune_meta,
    focal,
    heteroscedastic,
    jtt,
    l2rw,
    ldam_drw,
    mahalanobis_filter,
    meta_only,
    meta_weight_net,
    msp_filter,
    ood_classifier,
    random,
    resample,
    uniform,
    weight_model,
)
from l2rw_ray.methods.interface import Arm, Epoch, StagedArm, StepOutcome, TrainingContext
from l2rw_ray.methods.registry import build_arm

__all__ = [
    "Arm",
    "Epoch",
    "StagedArm",
    "StepOutcome",
    "TrainingContext",
    "build_arm",
    "class_weights",
    "finetune_meta",
    "focal",
    "heteroscedastic",
    "jtt",
    "l2rw",
    "ldam_drw",
    "mahalanobis_filter",
    "meta_only",
    "meta_weight_net",
    "msp_filter",
    "ood_classifier",
    "random",
    "resample",
    "uniform",
    "weight_model",
]
