"""Estimators of the alignment ⟨D, ∇ℓ_i⟩, one file each, behind one interface."""

from l2rw_ray.meta.alignment import forward_mode
from l2rw_ray.meta.alignment.registry import ESTIMATORS, Estimator, estimator_named

__all__ = ["ESTIMATORS", "Estimator", "estimator_named", "forward_mode"]
