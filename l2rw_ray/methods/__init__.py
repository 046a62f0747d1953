"""The methods of a study: each decides how one batch becomes one optimiser step."""

import warnings

from l2rw_ray.methods.builtin import (
    class_weights,
    finetune_meta,
    focal,
    heteroscedastic,
    jtt,
    l2rw,
    ldam_drw,
    logit_adjustment,
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
from l2rw_ray.methods.interface import Epoch, Method, StagedMethod, StepOutcome, TrainingContext
from l2rw_ray.methods.registry import build_method
from l2rw_ray.methods.robust import co_teaching, elr, losses, mixup, sam

__all__ = [
    "Epoch",
    "Method",
    "StagedMethod",
    "StepOutcome",
    "TrainingContext",
    "build_method",
    "class_weights",
    "co_teaching",
    "elr",
    "finetune_meta",
    "focal",
    "heteroscedastic",
    "jtt",
    "l2rw",
    "ldam_drw",
    "logit_adjustment",
    "losses",
    "mahalanobis_filter",
    "meta_only",
    "meta_weight_net",
    "mixup",
    "msp_filter",
    "ood_classifier",
    "random",
    "resample",
    "sam",
    "uniform",
    "weight_model",
]

_RENAMED = {"Arm": "Method", "StagedArm": "StagedMethod", "build_arm": "build_method"}


def __getattr__(name: str) -> object:
    """Return a renamed object under its former name, with a warning; removed in the next release."""
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"{__name__}.{name} is now {__name__}.{_RENAMED[name]}", DeprecationWarning, stacklevel=2)
    return globals()[_RENAMED[name]]
