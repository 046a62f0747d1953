"""Every planned trial with its seed, the hashes of its sets and its hardware."""

from collections.abc import Sequence
from typing import Any

from l2rw_ray.report.design_points.design_point import TrialRow
from l2rw_ray.report.design_points.labels import TEST_METRICS
from l2rw_ray.report.design_points.points import Outcome
from l2rw_ray.report.document.csv_text import csv_text

_RECORDED = (
    "attempt",
    "epochs",
    "steps",
    "duration_s",
    "core_hours",
    "workers",
    "cpus_per_worker",
    "gpus_per_worker",
    "hardware",
    "commit",
    "started_at",
    "split_hash_train",
    "split_hash_meta",
    "split_hash_validation",
    "split_hash_test",
    "estimator_used",
    "certificate_error",
)


def trials_of(
    outcomes: Sequence[Outcome], selected_by: str, results: Sequence[str] = TEST_METRICS
) -> tuple[TrialRow, ...]:
    """Return all planned trials, in plan order.

    Args:
        outcomes: The trials.
        selected_by: Metric of the objective; search trials show no other metric.
        results: Metrics of final trials.
    """
    return tuple(_line(outcome, selected_by, results) for outcome in outcomes)


def _line(outcome: Outcome, selected_by: str, results: Sequence[str]) -> TrialRow:
    row = outcome.row or {}
    shown = (selected_by,) if outcome.stage.value == "search" else (selected_by, *results)
    metrics = {name: value for name in shown if (value := outcome.metric(name)) is not None}
    return TrialRow(
        trial_id=outcome.trial_id,
        method=outcome.method,
        setting=outcome.setting,
        seed=outcome.seed,
        stage=outcome.stage.value,
        status=row.get("status", "missing"),
        metrics=metrics,
        recorded={name: row.get(name) for name in _RECORDED},
        method_used=row.get("method", ""),
    )


def trials_csv(trials: Sequence[TrialRow]) -> str:
    """Return a row per trial as CSV, at full precision and in the units of the ledger."""
    paths = list(dict.fromkeys(path for trial in trials for path, _ in trial.setting.levels))
    names = list(dict.fromkeys(name for trial in trials for name in trial.metrics))
    header = ["trial_id", "arm", "method.name", *paths, "seed", "stage", "status", *names, *_RECORDED]
    rows = (
        [
            trial.trial_id,
            trial.method,
            trial.method_used,
            *(trial.setting.level(path) for path in paths),
            trial.seed,
            trial.stage,
            trial.status,
            *(trial.metrics.get(name, "") for name in names),
            *(_text(trial.recorded[name]) for name in _RECORDED),
        ]
        for trial in trials
    )
    return csv_text(header, rows)


def _text(value: Any) -> Any:
    return "" if value is None else value.isoformat() if hasattr(value, "isoformat") else value
