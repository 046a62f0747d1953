"""Summarise a search: its configurations, the best of them, and the Pareto front."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from l2rw_ray.config import StudySpec
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.config.design.space import CategoricalParameter
from l2rw_ray.report.design_points.labels import (
    HEADLINE,
    MetricSpec,
    count,
    factor_name,
    level_text,
    metric_spec_for,
)
from l2rw_ray.report.design_points.metric_table import metric_table
from l2rw_ray.report.design_points.points import (
    METHOD_FACTOR,
    Outcome,
    counts_of,
    join,
    problems_of,
    read_rows,
    warnings_of,
)
from l2rw_ray.report.document.table import Table
from l2rw_ray.report.provenance.design import kind_of, search_of
from l2rw_ray.report.provenance.estimators import estimator_warnings
from l2rw_ray.report.provenance.failure_signatures import signature_notice, signature_table, signatures_of
from l2rw_ray.report.provenance.label_noise import label_noise_tables, noisy_selection
from l2rw_ray.report.provenance.notes import read_notes
from l2rw_ray.report.provenance.trials import trials_of
from l2rw_ray.report.provenance.what_was_run import provenance_of
from l2rw_ray.report.search.importance import ABSENT, importance_table, read_importances
from l2rw_ray.report.summary import Summary
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.trial_result import with_costs


@dataclass(frozen=True)
class Goal:
    """A metric that the search optimises."""

    metric: str
    mode: str

    @property
    def metric_spec(self) -> MetricSpec:
        """Label, unit and format of the metric."""
        return metric_spec_for(self.metric)

    def gain(self, value: float) -> float:
        """Return the value with its sign such that larger is better."""
        return value if self.mode == "max" else -value


@dataclass(frozen=True)
class SearchParameter:
    """A parameter that the search varied."""

    path: str
    is_log: bool
    is_categorical: bool

    @property
    def name(self) -> str:
        """Readable name."""
        return factor_name(self.path)


@dataclass(frozen=True)
class Configuration:
    """A configuration that was tried.

    Attributes:
        number: Order of its proposal, from 1.
        values: Value by path, without parameters that do not apply.
        status: `completed`, `stopped`, `failed` or `missing`.
        goal_values: Mean of each goal over its seeds; empty unless all of them completed.
        test: Mean headline test metric, not used for selection; None if there is none.
        seeds: Number of completed seeds.
    """

    number: int
    values: Mapping[str, Any]
    status: str
    goal_values: tuple[float, ...]
    test: float | None
    seeds: int

    @property
    def text(self) -> str:
        """The values in words."""
        named = ((factor_name(path), value_text(path, value)) for path, value in self.values.items())
        return ", ".join(f"{name} {value}" for name, value in named)


@dataclass(frozen=True, kw_only=True)
class SearchSummary(Summary):
    """A finished or unfinished search.

    Attributes:
        parameters: The parameters varied.
        goals: The goals optimised, the objective of the study first.
        configurations: All configurations tried, in order.
        front: The Pareto front, best in the first goal first.
        importance: Importance of the parameters; None if the run saved none.
        metric: Name of the headline metric.
    """

    parameters: tuple[SearchParameter, ...]
    goals: tuple[Goal, ...]
    configurations: tuple[Configuration, ...]
    front: tuple[Configuration, ...]
    importance: Table | None = None
    metric: str = HEADLINE

    @property
    def metric_spec(self) -> MetricSpec:
        """Label, unit and format of the headline metric."""
        return metric_spec_for(self.metric)

    @property
    def rows_name(self) -> str:
        """What the rows of `results.csv` are."""
        return "configurations"

    @property
    def measured(self) -> tuple[Configuration, ...]:
        """The configurations that completed with a value of each goal, in order."""
        return tuple(each for each in self.configurations if each.goal_values)

    @property
    def ranked(self) -> tuple[Configuration, ...]:
        """The same configurations, best in the first goal first."""
        goal = self.goals[0]
        return tuple(sorted(self.measured, key=lambda each: -goal.gain(each.goal_values[0])))


def value_text(path: str, value: Any) -> str:
    """Return a readable value, sampled numbers with three significant digits."""
    return level_text(path, float(f"{value:.3g}") if isinstance(value, float) else value)


def summarise_search(directory: Path) -> SearchSummary:
    """Return everything that the report of a search says.

    Args:
        directory: The study folder.

    Raises:
        StudyFolderError: The folder holds no study, no finished trial, or something unreadable.
    """
    folder = StudyFolder(directory)
    spec = folder.read_spec()
    design, metrics = spec.design, metric_table(spec)
    assert isinstance(design, SearchDesign), "checked by the caller"
    rows = [with_costs(row) if row["status"] == "completed" else row for row in read_rows(directory)]
    outcomes = join(folder.read_plan(), rows, only_method=spec.trial.title)
    goals = (
        Goal(metrics.named(spec.objective.metric), spec.objective.mode),
        *(Goal(metrics.named(criterion.metric), criterion.mode) for criterion in design.further_objectives),
    )
    metric = metrics.headline({name for row in rows for name, value in row.items() if value is not None})
    configurations = _configurations(outcomes, goals, list(design.space), metric)
    counts = counts_of(outcomes)
    importances = read_importances(folder.importances)
    front, signatures = pareto_front(configurations, goals), signatures_of(outcomes)
    return SearchSummary(
        name=spec.name,
        question=spec.question,
        notes=read_notes(folder.notes),
        finding=_finding(front, configurations, goals, metric_spec_for(metric)),
        further_findings=_extremes(front, goals),
        warnings=(
            *noisy_selection(outcomes),
            *_caution(spec, configurations),
            *warnings_of(outcomes, metrics),
            *estimator_warnings(outcomes),
            *signature_notice(signatures),
        ),
        parameters=tuple(
            SearchParameter(path, getattr(kind, "log", False), isinstance(kind, CategoricalParameter))
            for path, kind in design.space.items()
        ),
        goals=goals,
        configurations=configurations,
        front=front,
        problems=problems_of(outcomes),
        provenance=tuple(pair for pair in provenance_of(spec, outcomes, counts) if pair[0] != "Intervals"),
        design=(
            kind_of(spec),
            *search_of(spec),
            *([] if importances else [("Importance of parameters", ABSENT)]),
        ),
        importance=importance_table(metrics.named(importances[0]), importances[1]) if importances else None,
        trials=trials_of(outcomes, spec.objective.metric, metrics.results),
        signatures=signature_table(signatures),
        label_noise=label_noise_tables(directory),
        metric=metric,
    )


def pareto_front(configurations: Sequence[Configuration], goals: Sequence[Goal]) -> tuple[Configuration, ...]:
    """Return the configurations that no other one dominates: as good in every goal and better in one."""
    measured = [each for each in configurations if each.goal_values]

    def gains(each: Configuration) -> tuple[float, ...]:
        return tuple(goal.gain(value) for goal, value in zip(goals, each.goal_values, strict=True))

    def beats(one: Configuration, other: Configuration) -> bool:
        pairs = list(zip(gains(one), gains(other), strict=True))
        return all(mine >= its for mine, its in pairs) and any(mine > its for mine, its in pairs)

    front = [each for each in measured if not any(beats(other, each) for other in measured)]
    return tuple(sorted(front, key=gains, reverse=True))


def _configurations(
    outcomes: Sequence[Outcome], goals: Sequence[Goal], paths: Sequence[str], metric: str
) -> tuple[Configuration, ...]:
    groups: dict[tuple[Any, ...], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.method, outcome.setting), []).append(outcome)
    numbered = enumerate(groups.values(), start=1)
    return tuple(_configuration(number, group, goals, paths, metric) for number, group in numbered)


def _configuration(
    number: int, group: Sequence[Outcome], goals: Sequence[Goal], paths: Sequence[str], metric: str
) -> Configuration:
    values = dict(group[0].setting.levels) | {METHOD_FACTOR: group[0].method}
    statuses = [outcome.status for outcome in group]
    status = next(
        (each for each in ("diverged", "failed", "stopped", "missing") if each in statuses), "completed"
    )
    means = [_mean(group, goal.metric) for goal in goals] if status == "completed" else []
    return Configuration(
        number=number,
        values={path: values[path] for path in paths if path in values},
        status=status,
        goal_values=() if None in means else tuple(mean for mean in means if mean is not None),
        test=_mean(group, metric),
        seeds=statuses.count("completed"),
    )


def _mean(group: Sequence[Outcome], name: str) -> float | None:
    values = [outcome.metric(name) for outcome in group]
    known = [value for value in values if value is not None and math.isfinite(value)]
    return fmean(known) if known and len(known) == len(values) else None


def _finding(
    front: Sequence[Configuration],
    configurations: Sequence[Configuration],
    goals: Sequence[Goal],
    test: MetricSpec,
) -> str:
    tried = count(len(configurations), "configuration")
    if not front:
        return f"none of {tried} completed: nothing can be concluded"
    return f"best of {tried}: {_described(front[0], goals, test)}"


def _extremes(front: Sequence[Configuration], goals: Sequence[Goal]) -> tuple[str, ...]:
    """Return a sentence for each further goal on the configuration that is best in it."""
    sentences = []
    for place, goal in enumerate(goals[1:], start=1):
        best = max(front, key=lambda each: goal.gain(each.goal_values[place]), default=None)
        if best is not None and best is not front[0]:
            sentences.append(f"best in {goal.metric_spec.label}: {_described(best, goals)}")
    return tuple(sentences)


def _described(each: Configuration, goals: Sequence[Goal], metric_spec: MetricSpec | None = None) -> str:
    reached = ", ".join(
        f"{goal.metric_spec.label} {_value(goal.metric_spec, value)}"
        for goal, value in zip(goals, each.goal_values, strict=True)
    )
    test = "" if each.test is None or metric_spec is None else f" (test {_value(metric_spec, each.test)})"
    return f"{reached}{test} with {each.text}"


def _value(metric_spec: MetricSpec, value: float) -> str:
    return f"{metric_spec.text(value)} {metric_spec.unit}".strip()


def _caution(spec: StudySpec, configurations: Sequence[Configuration]) -> list[str]:
    seeds, open_ = len(spec.seed_values), sum(each.status == "missing" for each in configurations)
    warnings = [
        f"Each configuration was tried at {count(seeds, 'seed')}: the value of the best one is optimistic, "
        "and small differences may be chance; a tuned_comparison runs the best on fresh seeds"
    ]
    assert isinstance(spec.design, SearchDesign)
    budget = spec.design.budget.trials_for(len(spec.design.space))
    if open_:
        warnings.append(f"The search is incomplete: {count(open_, 'configuration')} not finished yet")
    if budget is not None and len(configurations) < budget:
        warnings.append(f"Tried so far: {len(configurations):,} of at most {count(budget, 'configuration')}")
    return warnings
