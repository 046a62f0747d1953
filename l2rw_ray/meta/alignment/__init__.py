"""Estimators of the alignment ⟨D, ∇ℓ_i⟩, one file each, behind one interface."""

from l2rw_ray.meta.alignment import (
    finite_difference,
    forward_mode,
    ghost,
    last_layer,
    per_example,
    second_order,
)
from l2rw_ray.meta.alignment.interface import Estimator, ScoredBatch
from l2rw_ray.meta.alignment.registry import ESTIMATORS, estimator_named

__all__ = [
    "ESTIMATORS",
    "Estimator",
    "ScoredBatch",
    "estimator_named",
    "finite_difference",
    "forward_mode",
    "ghost",
    "last_layer",
    "per_example",
    "second_order",
]
