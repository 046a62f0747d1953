"""Running studies without training: what became of a trial is made up, and written to the ledger."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.planning.strategies.build import build_strategies
from l2rw_ray.planning.strategies.interface import TrialStrategy
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.schema import TrialRecord
from l2rw_ray.results.trial_result import TrialResult
from l2rw_ray.results.writer import write_record

METRIC = "validation_balanced_accuracy"
Figures = Callable[[PlannedTrial], Mapping[str, float] | str]


def best_at_a_tenth(trial: PlannedTrial) -> Mapping[str, float]:
    return {METRIC: 1 - abs(math.log10(trial.config.optim.lr) + 1) / 10}


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
        "method": trial.config.title,
    }
    write_record(folder, TrialRecord(trial_id=trial.trial_id, seed=trial.seed, **(fields | changes)))


def play(
    spec: StudySpec,
    folder: StudyFolder,
    figures: Figures = best_at_a_tenth,
    *,
    groups: int = 1,
    trials: int = 1000,
    retry_failed: bool = False,
) -> list[PlannedTrial]:
    """Run a study's strategy as a run does, `groups` trials at a time, and stop dead after some trials.

    Returns:
        The trials that were run.
    """
    (strategy,) = build_strategies(spec, plan_study(spec), folder, retry_failed=retry_failed)
    folder.write_plan(spec, strategy.planned)
    under_way: list[PlannedTrial] = []
    ran: list[PlannedTrial] = []
    while len(ran) < trials:
        while len(under_way) < groups and (trial := strategy.ask()) is not None:
            under_way.append(trial)
            folder.write_rows(strategy.planned)
            folder.keep_searches()
        if not under_way:
            break
        trial = under_way.pop(0)
        ran.append(trial)
        end(strategy, folder, trial, figures(trial))
    if len(ran) < trials:
        folder.write_rows(strategy.planned)
        assert strategy.is_done
        assert strategy.remaining == 0
    return ran


def end(
    strategy: TrialStrategy, folder: StudyFolder, trial: PlannedTrial, outcome: Mapping[str, float] | str
) -> None:
    status, figures = (outcome, {}) if isinstance(outcome, str) else ("completed", outcome)
    reason = "scheduler" if status == "stopped" else None
    counts = {"cat": 30, "dog": 10}
    record(folder, trial, status=status, reason=reason, metrics=figures, duration_s=36.0, class_counts=counts)
    told = {**figures, "duration_s": 36.0}
    strategy.tell(trial.trial_id, TrialResult(status, reason, 36.0, told, len(counts)))
