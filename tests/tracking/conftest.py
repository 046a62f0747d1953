"""Ledger rows as `read_study` and `read_history` return them, and a fresh store per test."""

import os
import shutil
from datetime import UTC, datetime

import pytest

from tests.tracking.finished_study import finished_study

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def trial_row():
    return {
        "trial_id": "aaaa",
        "status": "completed",
        "seed": 3,
        "attempt": 1,
        "reason": None,
        "error": None,
        "config": '{"data": {"bias": {"level": 0.9}}, "method": {"name": "l2rw"}, "optim": {"lr": 0.1}}',
        "method": "l2rw",
        "test_accuracy": 0.8,
        "validation_balanced_accuracy": 0.7,
        "validation_loss": None,
        "peak_memory_bytes": 1e9,
        "epochs": 2,
        "steps": 20,
        "duration_s": 10.0,
        "workers": 1,
        "cpus_per_worker": 1,
        "gpus_per_worker": 0.0,
        "device": "cpu",
        "hardware": "Imagined CPU",
        "commit": None,
        "started_at": NOON,
        "schema_version": 1,
        "metrics": [("phase_meta_s", 0.5)],
        "factor.data.bias.level": 0.9,
        "factor.method.name": "l2rw",
    }


@pytest.fixture
def history_rows():
    return [
        {
            "trial_id": "aaaa",
            "seed": 3,
            "factor.data.bias.level": 0.9,
            "epoch": epoch,
            "step": 10 * epoch,
            "duration_s": 2.0,
            "train_loss": 1.0 / epoch,
            "validation_balanced_accuracy": 0.5 + 0.1 * epoch,
            "effective_sample_size": None,
        }
        for epoch in (1, 2)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return finished_study(tmp_path_factory.mktemp("study") / "small")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A store whose tables are made once, which takes a second."""
    from l2rw_ray.tracking.mlflow_mirror import MlflowMirror

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    mirror = MlflowMirror(f"sqlite:///{path}", "unused", "Unused?")
    mirror.close()
    return path


@pytest.fixture
def store_uri(empty_store, tmp_path):
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"
