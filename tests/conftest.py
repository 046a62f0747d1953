"""What tests share: a small study, and quiet defaults for the libraries underneath."""

import copy
import os
from typing import Any

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # small tensors: more threads only wait for each other
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

_STUDY: dict[str, Any] = {
    "name": "small",
    "question": "Does it work?",
    "trial": {
        "data": {
            "source": "digits",
            "train_size": 60,
            "meta_per_class": 2,
            "validation_size": 40,
            "test_size": 60,
            "noise": {"kind": "uniform", "rate": 0.3},
        },
        "model": {"name": "mlp"},
        "method": {"name": "l2rw"},
        "optim": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "batch_size": 20, "epochs": 2},
    },
    "design": {"kind": "grid", "factors": {"method.name": ["uniform", "l2rw"]}},
    "seeds": 2,
}


@pytest.fixture
def study_tree() -> dict[str, Any]:
    """A valid study as nested dictionaries, to be changed at will."""
    return copy.deepcopy(_STUDY)
