"""Ledgers of scaling studies that were never run: step times from known laws, with a little noise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from l2rw_ray.config import PlannedTrial, parse_study
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.schema import TrialRecord
from l2rw_ray.results.writer import write_record
from tests.report.conftest import NOON

CONSTANT = {"auto": 1.4, "finite_difference": 1.6, "second_order": 3.5, "last_layer": 1.2}
OVERHEAD = {
    "kind": "ablation",
    "variants": {
        "batch 25": {"optim.batch_size": 25},
        "batch 400": {"optim.batch_size": 400},
        "meta batch 50": {"method.meta_batch_size": 50},
        "ResNet-32": {"model.name": "resnet32_gn"},
        "wide ResNet-16-1": {"model.name": "wrn16_1_gn"},
        "wide ResNet-16-4": {"model.name": "wrn16_4_gn"},
        "seldom": {"method.update_every": 4},
    },
    "factors": {"method.estimator": ["auto", "finite_difference", "second_order"]},
}
WORKERS = {
    "kind": "grid",
    "factors": {"resources.workers": [1, 2, 4], "optim.batch_size": [50, 100, 200]},
    "skip": [
        {"resources.workers": 1, "optim.batch_size": [100, 200]},
        {"resources.workers": 2, "optim.batch_size": 200},
        {"resources.workers": 4, "optim.batch_size": 100},
    ],
}
SERIAL = 0.2


def write_scaling_study(path: Path, design: Mapping[str, Any], seeds: int = 3, **changes: Any) -> Path:
    """The folder of a finished study; `changes` are fields of its records, or `noise`."""
    noise = changes.pop("noise", 0.01)
    spec = parse_study(
        {
            "name": path.name,
            "question": "What does it cost?",
            "report": "scaling",
            "trial": {
                "data": {"source": "digits", "train_size": 800, "meta_per_class": 5, "validation_size": 100},
                "model": {"name": "resnet20_gn"},
                "method": {"name": "l2rw", "meta_batch_size": 10},
                "optim": {"name": "sgd", "lr": 0.01, "batch_size": 100, "epochs": 1},
            },
            "design": dict(design),
            "seeds": seeds,
        }
    )
    plan, rng = plan_study(spec), np.random.default_rng(0)
    folder = StudyFolder(path)
    folder.create()
    folder.write_plan(spec, plan)
    for trial in plan:
        write_record(folder, _record(trial, np.exp(rng.normal(0, noise, 2)).tolist(), changes))
    return path


def _record(trial: PlannedTrial, noise: list[float], changes: Mapping[str, Any]) -> TrialRecord:
    plain_s, ratio = noise[0] * plain_time(trial), noise[1] * overhead(trial)
    fields = {
        "trial_id": trial.trial_id,
        "status": "completed",
        "seed": trial.seed,
        "attempt": 1,
        "config": trial.config.model_dump_json(),
        "method": "l2rw",
        "epochs": 1,
        "steps": 8,
        "duration_s": 2.0,
        "versions": {"torch": "2.15.0"},
        "commit": "1234567",
        "workers": trial.resources.workers,
        "cpus_per_worker": 1,
        "gpus_per_worker": trial.resources.gpus_per_worker,
        "started_at": NOON,
        "train_examples": 800,
        "device": "cpu",
        "hardware": "Imagined CPU, 2 cores",
        "metrics": {
            "step_time_plain_s": plain_s,
            "step_time_s": plain_s * ratio,
            "overhead_ratio": ratio,
            "peak_memory_bytes": 1e5 * (trial.config.optim.batch_size + 10),
            "test_balanced_accuracy": 0.3,
            "peak_memory_plain_bytes": 1e5 * trial.config.optim.batch_size,
            "parameters": 2.7e5,
        },
        "class_counts": {str(label): 80 for label in range(10)},
    }
    return TrialRecord(**{**fields, **changes})


def plain_time(trial: PlannedTrial) -> float:
    """Seconds: the square root of the batch, and Amdahl's law over workers."""
    workers, name = trial.resources.workers, trial.config.model.name
    depth = {"resnet20_gn": 1.0, "resnet32_gn": 1.6, "wrn16_1_gn": 0.8, "wrn16_4_gn": 6.4}[name]
    return 0.002 * depth * trial.config.optim.batch_size**0.5 * (SERIAL + (1 - SERIAL) / workers)


def overhead(trial: PlannedTrial) -> float:
    """A constant by estimator, and the meta gradient's share."""
    method = trial.config.method
    share = (method.meta_batch_size or 50) / trial.config.optim.batch_size
    return 1 + (CONSTANT[method.estimator] - 1 + share) / method.update_every
