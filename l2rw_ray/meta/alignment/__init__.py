"""Estimators of the alignment ⟨D, ∇ℓ_i⟩, one file each, behind one interface."""

from l2rw_ray.meta.alignment import forward_mode
from l2rw_ray.meta.alignment.registry import Estimator, estimator_named, estimator_names

__all__ = ["Estimator", "estimator_named", "estimator_names", "forward_mode"]
