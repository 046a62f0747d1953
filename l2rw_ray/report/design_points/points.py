"""Joining plan and ledger: each planned trial with its levels and its row."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2rw_ray.config import Stage
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.design_points.design_point import DesignPoint, Problem, TrialCounts
from l2rw_ray.report.design_points.labels import COST_METRICS, METRICS, TEST_METRICS, WEIGHT_METRICS
from l2rw_ray.report.design_points.setting import Factor, Setting, point_name
from l2rw_ray.results import StudyFolder, read_study
from l2rw_ray.results.folder import PlanRow
from l2rw_ray.results.trial_result import TrialResult
from l2rw_ray.statistics import mean_interval

METHOD_FACTOR = "method.name"
SUMMARISED = (*TEST_METRICS, *WEIGHT_METRICS, *COST_METRICS)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """A planned trial and what the ledger holds of it.

    Attributes:
        trial_id: Its fingerprint.
        seed: Its seed.
        method: Name of its method, or of its arm in a tuned comparison.
        setting: Levels of all factors but the method.
        row: Its row in the ledger, None where it has not ended.
        stage: Whether its test values count, or it was only tried to choose a configuration.
    """

    trial_id: str
    seed: int
    method: str
    setting: Setting
    row: Row | None
    stage: Stage = Stage.FINAL

    @property
    def is_completed(self) -> bool:
        """Whether it has final values that count."""
        return self.row is not None and self.row["status"] == "completed"

    @property
    def status(self) -> str:
        """How it ended; `missing` where a run would still do it, as after an interruption."""
        if self.row is None or not TrialResult(self.row["status"], self.row["reason"]).is_final:
            return "missing"
        return str(self.row["status"])

    @property
    def point(self) -> str:
        """Readable name of its design point."""
        return point_name(self.method, self.setting)

    def metric(self, name: str) -> float | None:
        """A final metric, None where the trial is not completed or does not have it."""
        value = self.row.get(name) if self.row is not None and self.is_completed else None
        return None if value is None else float(value)


def read_rows(directory: Path) -> list[dict[str, Any]]:
    """Rows of the ledger; values without a column of their own stand beside the others.

    Raises:
        StudyFolderError: The folder holds no study, no finished trial, or something unreadable.
    """
    rows = read_study(directory).drop_columns(["class_counts", "traceback"]).to_pylist()
    if not rows:
        raise StudyFolderError(
            "study folder", directory, "no trial has finished yet", "let `l2rw-ray run` finish some"
        )
    return [{**dict(row.pop("metrics") or ()), **row, "core_hours": core_hours(row)} for row in rows]


def core_hours(row: Row) -> float | None:
    """What a trial took of the machine: wall time by the cores that its workers held."""
    if row["duration_s"] is None:
        return None
    return float(row["duration_s"]) / 3600 * (row["workers"] or 1) * (row["cpus_per_worker"] or 1)


def join(
    plan: Sequence[PlanRow], rows: Iterable[Row], only_method: str, method_factor: str = METHOD_FACTOR
) -> tuple[Outcome, ...]:
    """The planned trials in order.

    Args:
        plan: The study's plan.
        rows: Rows of the ledger.
        only_method: Name of the method where the design does not vary it.
        method_factor: The factor whose levels are the methods.
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
    """All factors but the method, with their levels in plan order."""
    levels: dict[str, dict[Any, None]] = {}
    for outcome in outcomes:
        for path, level in outcome.setting.levels:
            levels.setdefault(path, {})[level] = None
    return tuple(Factor(path, tuple(seen)) for path, seen in levels.items())


def design_points_of(outcomes: Sequence[Outcome]) -> tuple[DesignPoint, ...]:
    """The design points that have a completed seed, in plan order."""
    groups: dict[tuple[str, Setting], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.is_completed:
            groups.setdefault((outcome.method, outcome.setting), []).append(outcome)
    return tuple(_design_point(method, setting, group) for (method, setting), group in groups.items())


def final_design_points(directory: Path) -> tuple[DesignPoint, ...]:
    """The design points whose test values count.

    Raises:
        StudyFolderError: The folder holds no study, no finished trial, or something unreadable.
    """
    folder = StudyFolder(directory)
    joined = join(folder.read_plan(), read_rows(directory), folder.read_spec().trial.method.name)
    return design_points_of([outcome for outcome in joined if outcome.stage is Stage.FINAL])


def _design_point(method: str, setting: Setting, group: Sequence[Outcome]) -> DesignPoint:
    by_seed = {name: values for name in SUMMARISED if (values := _values_by_seed(group, name))}
    return DesignPoint(
        method=method,
        setting=setting,
        by_seed=by_seed,
        intervals={
            name: METRICS[name].within(mean_interval(values.values())) for name, values in by_seed.items()
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
    """What became of the planned trials."""
    ended = [outcome.status for outcome in outcomes]
    return TrialCounts(
        planned=len(outcomes),
        completed=ended.count("completed"),
        stopped=ended.count("stopped"),
        failed=ended.count("failed"),
    )


def problems_of(outcomes: Sequence[Outcome]) -> tuple[Problem, ...]:
    """Failed and stopped trials, in plan order."""
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


def warnings_of(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Figures that are left out as not finite."""
    lost = [
        f"Left out as not finite: {name} of {outcome.point}, seed {outcome.seed}"
        for outcome in outcomes
        for name in SUMMARISED
        if (value := outcome.metric(name)) is not None and not math.isfinite(value)
    ]
    return tuple(lost)


def plain(level: Any) -> Any:
    """The level itself, or its JSON where it is a list or a section."""
    return json.dumps(level, sort_keys=True) if isinstance(level, list | dict) else level
