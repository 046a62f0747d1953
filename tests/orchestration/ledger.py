"""Writing what became of trials without training them."""

from datetime import UTC, datetime
from typing import Any

from l2rw_ray.config import PlannedTrial
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.schema import TrialRecord
from l2rw_ray.results.writer import write_record


def record(folder: StudyFolder, trial: PlannedTrial, **changes: Any) -> None:
    """Write a completed trial's row, with some fields changed."""
    fields: dict[str, Any] = {
        "status": "completed",
        "attempt": 1,
        "epochs": 2,
        "steps": 6,
        "duration_s": 1.0,
        "versions": {},
        "commit": None,
        "workers": trial.resources.workers,
        "cpus_per_worker": trial.resources.cpus_per_worker,
        "gpus_per_worker": trial.resources.gpus_per_worker,
        "started_at": datetime(2024, 5, 1, tzinfo=UTC),
        "config": trial.config.model_dump_json(),
        "method": trial.config.method.name,
    }
    write_record(folder, TrialRecord(trial_id=trial.trial_id, seed=trial.seed, **(fields | changes)))
