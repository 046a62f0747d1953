"""Join plan and ledger: each planned trial with its levels and its row."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2rw_ray.config import Stage
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.design_points.design_point import DesignPoint, Problem, TrialCounts
from l2rw_ray.report.design_points.labels import metric_spec_for
from l2rw_ray.report.design_points.metric_table import BUILT_IN_TABLE, MetricTable
from l2rw_ray.report.design_points.setting import Factor, Setting, point_name
from l2rw_ray.results import StudyFolder, read_study
from l2rw_ray.results.folder import PlanRow
from l2rw_ray.results.trial_result import TrialResult
from l2rw_ray.statistics import mean_interval

METHOD_FACTOR = "method.name"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """A planned trial with its row of the ledger.

    Attributes:
        trial_id: Its fingerprint.
        seed: Its seed.
        method: Name of its method, or of its arm in a tuned comparison.
        setting: Levels of all factors but the method.
        row: Its row of the ledger; None if it has not ended.
        stage: Whether it is a final trial or a trial of a search.
    """

    trial_id: str
    seed: int
    method: str
    setting: Setting
    row: Row | None
    stage: Stage = Stage.FINAL

    @property
    def is_completed(self) -> bool:
        """Whether it completed, so that its metrics count."""
        return self.row is not None and self.row["status"] == "completed"

    @property
    def status(self) -> str:
        """How it ended; `missing` if a run would still run it, as after an interruption."""
        if self.row is None or not TrialResult(self.row["status"], self.row["reason"]).is_final:
            return "missing"
        return str(self.row["status"])

    @property
    def point(self) -> str:
        """Readable name of its design point."""
        return point_name(self.method, self.setting)

    def metric(self, name: str) -> float | None:
        """Return a final metric; None if the trial did not complete or lacks it."""
        value = self.row.get(name) if self.row is not None and self.is_completed else None
        return None if value is None else float(value)


def read_rows(directory: Path) -> list[dict[str, Any]]:
    """Return the rows of the ledger, with custom metrics as further columns.

    Raises:
        StudyFolderError: The folder holds no study, no finished trial, or something unreadable.
    """
    rows = read_study(directory).drop_columns(["class_counts", "traceback"]).to_pylist()
    if not rows:
        raise StudyFolderError(
            "study folder", directory, "no trial has finished yet", "finish some with `l2rw-ray run`"
        )
    return [{**dict(row.pop("metrics") or ()), **row, "core_hours": core_hours(row)} for row in rows]


def core_hours(row: Row) -> float | None:
    """Return the core-hours of a trial: wall time multiplied by the cores of its workers."""
    if row["duration_s"] is None:
        return None
    return float(row["duration_s"]) / 3600 * (row["workers"] or 1) * (row["cpus_per_worker"] or 1)


def join(
    plan: Sequence[PlanRow], rows: Iterable[Row], only_method: str, method_factor: str = METHOD_FACTOR
) -> tuple[Outcome, ...]:
    """Return the planned trials with their rows, in plan order.

    Args:
        plan: The study's plan.
        rows: Rows of the ledger.
        only_method: Name of the method if the design does not vary it.
        method_factor: Path of the factor whose levels are the methods.
    """
    by_id = {row["trial_id"]: row for row in rows}
    return tuple(
        Outcome(
            trial_id=planned.trial_id,
            seed=planned.seed,
            method=str(planned.factors.get(method_factor, only_method)),
            setting=Setting(
                tuple(
                    (path, plain(level)) for path, level in planned.factors.items() if path != method_factor
                )
            ),
            row=by_id.get(planned.trial_id),
            stage=planned.stage,
        )
        for planned in plan
    )


def factors_of(outcomes: Sequence[Outcome]) -> tuple[Factor, ...]:
    """Return all factors but the method, with their levels in plan order."""
    levels: dict[str, dict[Any, None]] = {}
    for outcome in outcomes:
        for path, level in outcome.setting.levels:
            levels.setdefault(path, {})[level] = None
    return tuple(Factor(path, tuple(seen)) for path, seen in levels.items())


def design_points_of(
    outcomes: Sequence[Outcome], metrics: MetricTable = BUILT_IN_TABLE
) -> tuple[DesignPoint, ...]:
    """Return the design points with a completed seed, in plan order.

    Args:
        outcomes: The trials.
        metrics: The metrics of the study.
    """
    groups: dict[tuple[str, Setting], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.is_completed:
            groups.setdefault((outcome.method, outcome.setting), []).append(outcome)
    return tuple(
        _design_point(method, setting, group, metrics.summarised)
        for (method, setting), group in groups.items()
    )


def final_outcomes(directory: Path) -> tuple[Outcome, ...]:
    """Return the final trials of a study with their rows, in plan order.

    Raises:
        StudyFolderError: The folder holds no study, no finished trial, or something unreadable.
    """
    folder = StudyFolder(directory)
    outcomes = join(folder.read_plan(), read_rows(directory), folder.read_spec().trial.title)
    return tuple(outcome for outcome in outcomes if outcome.stage is Stage.FINAL)


def _design_point(
    method: str, setting: Setting, group: Sequence[Outcome], names: Sequence[str]
) -> DesignPoint:
    by_seed = {name: values for name in names if (values := _values_by_seed(group, name))}
    return DesignPoint(
        method=method,
        setting=setting,
        by_seed=by_seed,
        intervals={
            name: metric_spec_for(name).within(mean_interval(values.values()))
            for name, values in by_seed.items()
        },
        timing_usable=not any(_shares_gpu(outcome.row) for outcome in group),
        method_used=" / ".join(dict.fromkeys(outcome.row["method"] for outcome in group if outcome.row)),
    )


def _values_by_seed(group: Sequence[Outcome], name: str) -> dict[int, float]:
    values = ((outcome.seed, outcome.metric(name)) for outcome in group)
    return {seed: value for seed, value in values if value is not None and math.isfinite(value)}


def _shares_gpu(row: Row | None) -> bool:
    return row is not None and 0 < (row["gpus_per_worker"] or 0) < 1


def counts_of(outcomes: Sequence[Outcome]) -> TrialCounts:
    """Return the number of planned trials by status."""
    ended = [outcome.status for outcome in outcomes]
    return TrialCounts(
        planned=len(outcomes),
        completed=ended.count("completed"),
        stopped=ended.count("stopped"),
        failed=ended.count("failed"),
    )


def problems_of(outcomes: Sequence[Outcome]) -> tuple[Problem, ...]:
    """Return failed and stopped trials, in plan order."""
    return tuple(
        Problem(
            trial_id=outcome.trial_id,
            status=outcome.status,
            point=outcome.point,
            seed=outcome.seed,
            why=outcome.row["error"] or outcome.row["reason"] or "no reason recorded",
            log=outcome.row["log"],
        )
        for outcome in outcomes
        if outcome.row is not None and outcome.status in ("failed", "stopped")
    )


def warnings_of(outcomes: Sequence[Outcome], metrics: MetricTable = BUILT_IN_TABLE) -> tuple[str, ...]:
    """Return a warning for each metric left out because it is not finite."""
    lost = [
        f"Left out as not finite: {name} of {outcome.point}, seed {outcome.seed}"
        for outcome in outcomes
        for name in metrics.summarised
        if (value := outcome.metric(name)) is not None and not math.isfinite(value)
    ]
    return tuple(lost)


def plain(level: Any) -> Any:
    """Return the level, or its JSON text if it is a list or a section."""
    return json.dumps(level, sort_keys=True) if isinstance(level, list | dict) else level
