"""Mirroring a study's ledger into MLflow; only `MlflowMirror` and what writes models import MLflow."""
