"""Mirroring a study's ledger into MLflow."""

from l2rw_ray.tracking.mlflow_mirror import MlflowMirror
from l2rw_ray.tracking.runs import DesignPointRun

__all__ = ["DesignPointRun", "MlflowMirror"]
