"""Join plan and ledger: each planned trial with its levels and its row."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2rw_ray.config import Stage
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.design_points.design_point import DesignPoint, Problem, TrialCounts
from l2rw_ray.report.design_points.labels import count, metric_spec_for
from l2rw_ray.report.design_points.metric_table import BUILT_IN_TABLE, MetricTable
from l2rw_ray.report.design_points.setting import Factor, Setting, point_name
from l2rw_ray.results import StudyFolder, read_study
from l2rw_ray.results.plans.plan_rows import PlanRow
from l2rw_ray.results.trial_result import TrialResult, status_of
from l2rw_ray.statistics import mean_interval

if TYPE_CHECKING:
    from l2rw_ray.report.design_points.example_results import ExampleResults

METHOD_FACTOR = "method.name"

Row = Mapping[str, Any]

_AT_ONCE = 1024
"""Rows that are turned into Python's objects at a time."""


@dataclass(frozen=True)
class Outcome:
    """A planned trial with its row of the ledger.

    Attributes:
        trial_id: Its fingerprint.
        seed: Its seed.
        method: Name of its method, or of its arm in a tuned comparison.
        setting: Levels of all factors but the method.
        row: Its row of the ledger; None if it has not ended.
        stage: Whether it is a final trial, one of a search, or one with a source of randomness drawn anew.
        tested: Outcome of each test example; None where its ledger does not have it.
    """

    trial_id: str
    seed: int
    method: str
    setting: Setting
    row: Row | None
    stage: Stage = Stage.FINAL
    tested: "ExampleResults | None" = None

    @property
    def is_completed(self) -> bool:
        """Whether it completed, so that its metrics count."""
        return self.row is not None and self.row["status"] == "completed"

    @property
    def status(self) -> str:
        """How it ended; `missing` if a run would still run it, as after an interruption."""
        if self.row is None or not TrialResult(self.row["status"], self.row["reason"]).is_final:
            return "missing"
        return status_of(self.row)

    @property
    def has_diverged(self) -> bool:
        """Whether its training produced NaN or infinity, which counts as the worst outcome."""
        return self.status == "diverged"

    @property
    def redrawn(self) -> str | None:
        """The source of randomness that it drew anew; None for none, or where it has not ended."""
        return json.loads(self.row["config"]).get("redraw") if self.row is not None else None

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
    table = read_study(directory).drop_columns(["traceback"])
    if not len(table):
        raise StudyFolderError(
            "study folder", directory, "no trial has finished yet", "finish some with `l2rw-ray run`"
        )
    texts: dict[str, str] = {}
    return [_plain_row(row, texts) for batch in table.to_batches(_AT_ONCE) for row in batch.to_pylist()]


def _plain_row(row: dict[str, Any], texts: dict[str, str]) -> dict[str, Any]:
    """Return a row with its custom metrics; of equal texts, such as configurations, one is kept."""
    own = {name: texts.setdefault(value, value) for name, value in row.items() if isinstance(value, str)}
    metrics = {texts.setdefault(name, name): value for name, value in row.pop("metrics") or ()}
    classes = len(row.pop("class_counts") or ()) or None
    return {**metrics, **row, **own, "core_hours": core_hours(row), "classes": classes}


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
    outcomes: Sequence[Outcome],
    metrics: MetricTable = BUILT_IN_TABLE,
    known: Sequence[Outcome] | None = None,
) -> tuple[DesignPoint, ...]:
    """Return the design points with a seed that completed or diverged, in plan order.

    Args:
        outcomes: The trials.
        metrics: The metrics of the study.
        known: Trials that say which metrics and classes there are; None for the trials themselves, of which
            all may have diverged.
    """
    known = outcomes if known is None else known
    groups: dict[tuple[str, Setting], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.is_completed or outcome.has_diverged:
            groups.setdefault((outcome.method, outcome.setting), []).append(outcome)
    measured = {name for name in metrics.results for each in known if each.metric(name) is not None}
    levels = {name: chance_of(name, known) for name in measured}
    chance = {name: level for name, level in levels.items() if level is not None}
    return tuple(_design_point(*key, group, metrics, chance) for key, group in groups.items())


def final_outcomes(directory: Path) -> tuple[Outcome, ...]:
    """Return the final trials of a study with their rows, in plan order.

    Raises:
        StudyFolderError: The folder holds no study, no finished trial, or something unreadable.
    """
    folder = StudyFolder(directory)
    outcomes = join(folder.read_plan(), read_rows(directory), folder.read_spec().trial.title)
    return tuple(outcome for outcome in outcomes if outcome.stage is Stage.FINAL)


def chance_level(metric: str, classes: int | None) -> float | None:
    """Return what a run that diverged counts as: what a model that has learnt nothing reaches.

    Of a metric that the study declares that is not known, and the worst value stands in its place. None for a
    metric that is no share.

    Args:
        metric: Name of the test metric.
        classes: Number of classes; None if unknown, as in ledgers without counts, which makes it 0.
    """
    metric_spec = metric_spec_for(metric)
    if not metric_spec.is_share:
        return None
    if not metric_spec.has_chance_level:
        return metric_spec.worst
    return 0.0 if "worst_class" in metric or classes is None else 1 / classes


def chance_of(metric: str, outcomes: Sequence[Outcome]) -> float | None:
    """Return what runs that diverged count as among these trials; None for a metric without such a level."""
    classes = max((outcome.row["classes"] or 0 for outcome in outcomes if outcome.row), default=0)
    return chance_level(metric, classes or None)


def _design_point(
    method: str, setting: Setting, group: Sequence[Outcome], metrics: MetricTable, chance: Mapping[str, float]
) -> DesignPoint:
    diverged = frozenset(outcome.seed for outcome in group if outcome.has_diverged)
    completed = {name: values for name in metrics.summarised if (values := _values_by_seed(group, name))}
    counted = {
        name: {**completed.get(name, {}), **dict.fromkeys(sorted(diverged), level)}
        for name, level in chance.items()
        if diverged
    }
    by_seed = {**completed, **counted}
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
        diverged=diverged,
        survivors={name: completed.get(name, {}) for name in metrics.results} if diverged else {},
        tested={
            outcome.seed: outcome.tested
            for outcome in group
            if outcome.is_completed and outcome.tested is not None
        },
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
        diverged=ended.count("diverged"),
    )


def problems_of(outcomes: Sequence[Outcome]) -> tuple[Problem, ...]:
    """Return diverged, failed and stopped trials, in plan order."""
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
        if outcome.row is not None and outcome.status in ("diverged", "failed", "stopped")
    )


def warnings_of(outcomes: Sequence[Outcome], metrics: MetricTable = BUILT_IN_TABLE) -> tuple[str, ...]:
    """Return a warning for each metric left out because it is not finite, or beyond its possible values."""
    lost = [
        f"Left out as not finite: {name} of {outcome.point}, seed {outcome.seed}"
        for outcome in outcomes
        for name in metrics.summarised
        if (value := outcome.metric(name)) is not None and not math.isfinite(value)
    ]
    beyond = (_beyond_range(name, outcomes) for name in metrics.summarised if name in metrics.own)
    return (*lost, *filter(None, beyond))


def _beyond_range(name: str, outcomes: Sequence[Outcome]) -> str | None:
    """Return that values of a metric are impossible as it is declared; None where all are possible."""
    spec = metric_spec_for(name)
    values = [value for each in outcomes if (value := each.metric(name)) is not None]
    beyond = [value for value in values if math.isfinite(value) and not spec.lowest <= value <= spec.highest]
    if not beyond:
        return None
    most = max(beyond, key=abs)
    text = (
        f"{len(beyond):,} of {count(len(values), 'value')} of {name} beyond what is declared possible, "
        f"{spec.lowest:g} to {spec.highest:g}, such as {most:g}: "
    )
    remedy = "declare lowest and highest as they are"
    return text + (
        f"format: percent takes fractions, 0.5 for 50 %; else {remedy}" if spec.is_share else remedy
    )


def plain(level: Any) -> Any:
    """Return the level, or its JSON text if it is a list or a section."""
    return json.dumps(level, sort_keys=True) if isinstance(level, list | dict) else level
