"""Configurations that tuning chose for the arms of a tuned comparison."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from l2rw_ray.config import Stage, StudySpec, TrialConfig
from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.config.overrides import look_up
from l2rw_ray.report.design_points.labels import count, factor_name, metric_spec_for
from l2rw_ray.report.design_points.metric_table import metric_table
from l2rw_ray.report.design_points.points import Outcome, chance_of, plain
from l2rw_ray.report.design_points.setting import Setting, point_name
from l2rw_ray.report.document.interval_cells import EMPTY
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.report.search.budgets import SearchBudgets, SearchedArm, search_budgets
from l2rw_ray.report.search.limits import edge_warnings, unequal_spaces
from l2rw_ray.report.search.summary import value_text

_SAME = "the same budget"


def has_tuned_levels(spec: StudySpec) -> bool:
    """Return whether arms were tuned at several levels of a factor, so that plots have a line for each."""
    design = spec.design
    return isinstance(design, TunedComparisonDesign) and any(
        len(design.points_of(arm)) > 1 for arm in design.arms
    )


def budgets_of(spec: StudySpec, outcomes: Sequence[Outcome]) -> SearchBudgets | None:
    """Return what each arm could expect of smaller budgets; None for another design."""
    design = spec.design
    if not isinstance(design, TunedComparisonDesign):
        return None
    searched = []
    for search in _searches(spec, design, outcomes):
        own = [each for each in outcomes if each.stage is Stage.SEARCH and search.has(each)]
        values = _means(own, spec, len(design.search_seeds))
        ended = {each.setting for each in own if each.status != "missing"}
        diverged = len({each.setting for each in own if each.has_diverged})
        lost = len(ended) - len(values) - diverged
        searched.append(SearchedArm(search.arm, search.point, tuple(values), diverged, lost))
    metric = metric_table(spec).named(spec.objective.metric)
    return search_budgets(
        searched, metric, less_is_better=spec.objective.mode == "min", chance=chance_of(metric, outcomes)
    )


def tuning_table(spec: StudySpec, outcomes: Sequence[Outcome]) -> Table | None:
    """Return the table of chosen configurations, a row per search; None for another design."""
    design = spec.design
    if not isinstance(design, TunedComparisonDesign):
        return None
    paths = list(dict.fromkeys(path for arm in design.arms for path in design.space_of(arm)))
    metric_spec = metric_spec_for(metric_table(spec).named(spec.objective.metric))
    seeds = count(len(design.search_seeds), "seed")
    rows = []
    for search in _searches(spec, design, outcomes):
        own = [outcome for outcome in outcomes if search.has(outcome)]
        tried = _means(own, spec, len(design.search_seeds))
        values = [_chosen_value(own, path, search.arm, design) for path in paths]
        cells = [
            EMPTY if value is None else TableCell(value_text(path, value))
            for path, value in zip(paths, values, strict=True)
        ]
        best = _best(tried, spec)
        value = EMPTY if best is None else TableCell(metric_spec.text(best))
        spent = sum(_cost(each) for each in own if each.stage is Stage.SEARCH)
        number = len({each.setting for each in own if each.stage is Stage.SEARCH})
        rows.append(TableRow(search.name, (TableCell(str(number)), TableCell(f"{spent:.3g}"), *cells, value)))
    columns = ("configurations", "core-hours", *map(factor_name, paths), metric_spec.heading)
    return Table(
        key="tuning",
        title="What tuning chose",
        corner="arm",
        columns=columns,
        rows=tuple(rows),
        note=(
            f"Each {_searched(spec)} was searched{_times(design)} by {design.sampler} with "
            f"{_budget(design)}, at {seeds} used nowhere else in this report; a trial shared by two searches "
            "counts in both rows. The last column is the metric of the selection, so it is optimistic; the "
            f"test metrics above are from fresh seeds, {_tested_on(spec)}"
        ),
    )


def _searched(spec: StudySpec) -> str:
    return "arm at each combination of its levels" if has_tuned_levels(spec) else "arm"


def _times(design: TunedComparisonDesign) -> str:
    return "" if design.searches == 1 else f" {design.searches} times"


def searched_text(spec: StudySpec) -> str:
    """Return what the differences of a tuned comparison are between; empty for another design."""
    design = spec.design
    if not isinstance(design, TunedComparisonDesign):
        return ""
    budget = _budget(design)
    if design.unequal_spaces:
        budget = f"one budget for different numbers of parameters ({design.unequal_spaces})"
    if design.searches > 1:
        return f"between arms, each searched anew for every seed with {budget}"
    chosen = "between the configurations that one search of each arm chose"
    return f"{chosen} with {budget}" if budget != _SAME else chosen


def _budget(design: TunedComparisonDesign) -> str:
    each = design.budget.trials_per_parameter
    return _SAME if each is None else f"{count(each, 'configuration')} per parameter"


def _tested_on(spec: StudySpec) -> str:
    if not isinstance(spec.trial, TrialConfig):
        return "which the search has not seen."
    if spec.trial.data.test_seed is not None:
        return "on a test set that all trials share and none is tuned on."
    return (  # studies of version 0.1
        "on a test set drawn per seed if the source has none: some of its examples may have been validation "
        "examples in the search."
    )


def tuning_gaps(spec: StudySpec, outcomes: Sequence[Outcome]) -> list[str]:
    """Return warnings about missing arms and configurations; nothing for another design."""
    design = spec.design
    if not isinstance(design, TunedComparisonDesign):
        return []
    warnings = []
    chosen = []
    for search in _searches(spec, design, outcomes):
        name, own = search.name, [outcome for outcome in outcomes if search.has(outcome)]
        paths = design.space_of(search.arm)
        chosen.append(
            (search.arm, name, {path: _chosen_value(own, path, search.arm, design) for path in paths})
        )
        if not any(outcome.stage is Stage.FINAL for outcome in own):
            warnings.append(
                f"{name} has no final trial: its search has not finished, or no configuration completed"
            )
        lost = [each for each in own if each.stage is Stage.SEARCH and each.row and not each.is_completed]
        if lost:
            warnings.append(
                f"{count(len(lost), 'trial')} of the search of {name} failed, diverged or stopped"
            )
    return [*warnings, *edge_warnings(design, chosen), *unequal_spaces(design)]


@dataclass(frozen=True)
class _Search:
    """One search: its arm, the levels that all of its trials share, and which of the arm's searches it is."""

    arm: str
    point: Setting
    name: str
    search_seeds: frozenset[int]
    final_seeds: frozenset[int]

    def has(self, outcome: Outcome) -> bool:
        """Return whether a trial belongs to it."""
        seeds = self.final_seeds if outcome.stage is Stage.FINAL else self.search_seeds
        is_of_arm = self.arm == (outcome.setting.level(VARIANT) or outcome.method)
        return is_of_arm and outcome.seed in seeds and self.point.covers(outcome.setting)


def _searches(spec: StudySpec, design: TunedComparisonDesign, outcomes: Sequence[Outcome]) -> list[_Search]:
    """Return the searches of a study; with planned looks, those of looks that have begun."""
    seeds, found = spec.all_seeds, []
    for arm in design.arms:
        for levels in design.points_of(arm):
            point = Setting(tuple((path, plain(level)) for path, level in levels.items()))
            for number in range(design.searches):
                name, own = point_name(arm, point), frozenset(seeds)
                if design.searches > 1:
                    name, own = f"{name}, search {number + 1}", frozenset(seeds[number : number + 1])
                found.append(_Search(arm, point, name, frozenset(design.search_seeds_of(number)), own))
    return [each for each in found if spec.looks == 1 or any(map(each.has, outcomes))]


def _cost(outcome: Outcome) -> float:
    """Return the core-hours of a trial that has ended, whatever its status."""
    return float(outcome.row["core_hours"] or 0.0) if outcome.row is not None else 0.0


def _means(outcomes: Sequence[Outcome], spec: StudySpec, seeds: int) -> list[float]:
    """Return the objective of each configuration that has it at all of its seeds."""
    tried: dict[Setting, list[float]] = {}
    for outcome in outcomes:
        value = outcome.metric(spec.objective.metric)
        if outcome.stage is Stage.SEARCH and value is not None:
            tried.setdefault(outcome.setting, []).append(value)
    return [fmean(values) for values in tried.values() if len(values) == seeds]


def _best(means: Sequence[float], spec: StudySpec) -> float | None:
    if not means:
        return None
    return max(means) if spec.objective.mode == "max" else min(means)


def _chosen_value(outcomes: Sequence[Outcome], path: str, arm: str, design: TunedComparisonDesign) -> Any:
    """Return the chosen value of a parameter; None if the arm does not have it, or nothing was chosen."""
    chosen = next((each for each in outcomes if each.stage is Stage.FINAL and each.row), None)
    if chosen is None or chosen.row is None or path not in design.space_of(arm):
        return None
    return look_up(json.loads(chosen.row["config"]), path)
