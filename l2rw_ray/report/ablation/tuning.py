"""Configurations that tuning chose for the arms of a tuned comparison."""

import json
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from l2rw_ray.config import Stage, StudySpec, TrialConfig
from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.config.overrides import look_up
from l2rw_ray.report.design_points.labels import count, factor_name, metric_spec_for
from l2rw_ray.report.design_points.metric_table import metric_table
from l2rw_ray.report.design_points.points import Outcome, plain
from l2rw_ray.report.design_points.setting import Setting, point_name
from l2rw_ray.report.document.interval_cells import EMPTY
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.report.search.summary import value_text


def has_tuned_levels(spec: StudySpec) -> bool:
    """Return whether arms were tuned at several levels of a factor, so that plots have a line for each."""
    design = spec.design
    return isinstance(design, TunedComparisonDesign) and any(
        len(design.points_of(arm)) > 1 for arm in design.arms
    )


def tuning_tables(spec: StudySpec, outcomes: Sequence[Outcome]) -> tuple[Table, ...]:
    """Return the table of chosen configurations, a row per search; nothing for another design."""
    design = spec.design
    if not isinstance(design, TunedComparisonDesign):
        return ()
    paths = list(dict.fromkeys(path for arm in design.arms for path in design.space_of(arm)))
    metric_spec, seeds = (
        metric_spec_for(metric_table(spec).named(spec.objective.metric)),
        count(len(design.search_seeds), "seed"),
    )
    rows = []
    for arm, point in _searches(design):
        own = [outcome for outcome in outcomes if _is_of(outcome, arm, point)]
        tried = _by_configuration([outcome for outcome in own if outcome.stage is Stage.SEARCH])
        chosen = next((outcome for outcome in own if outcome.stage is Stage.FINAL and outcome.row), None)
        values = [_chosen(chosen, path, path in design.space_of(arm)) for path in paths]
        best = _best(tried, spec)
        value = EMPTY if best is None else TableCell(metric_spec.text(best))
        spent = sum(_cost(each) for each in own if each.stage is Stage.SEARCH)
        cells = (TableCell(str(len(tried))), TableCell(f"{spent:.3g}"), *values, value)
        rows.append(TableRow(point_name(arm, point), cells))
    return (
        Table(
            key="tuning",
            title="What tuning chose",
            corner="arm",
            columns=(
                "configurations",
                "core-hours",
                *(factor_name(path) for path in paths),
                metric_spec.heading,
            ),
            rows=tuple(rows),
            note=(
                f"Each {_searched(spec)} was searched by {design.sampler} with the same budget, at {seeds} "
                "used nowhere else in this report; a trial shared by two searches counts in both rows. The "
                "last column is the metric of the selection, so it is optimistic; the test metrics above "
                f"are from fresh seeds, {_tested_on(spec)}"
            ),
        ),
    )


def _searched(spec: StudySpec) -> str:
    return "arm at each combination of its levels" if has_tuned_levels(spec) else "arm"


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
    for arm, point in _searches(design):
        name, own = point_name(arm, point), [outcome for outcome in outcomes if _is_of(outcome, arm, point)]
        if not any(outcome.stage is Stage.FINAL for outcome in own):
            warnings.append(
                f"{name} has no final trial: its search has not finished, or no configuration completed"
            )
        lost = [each for each in own if each.stage is Stage.SEARCH and each.row and not each.is_completed]
        if lost:
            warnings.append(f"{count(len(lost), 'trial')} of the search of {name} failed or stopped")
    return warnings


def _searches(design: TunedComparisonDesign) -> list[tuple[str, Setting]]:
    """Return the searches, each by its arm and the levels that all of its trials share."""
    return [
        (arm, Setting(tuple((path, plain(level)) for path, level in levels.items())))
        for arm in design.arms
        for levels in design.points_of(arm)
    ]


def _is_of(outcome: Outcome, arm: str, point: Setting) -> bool:
    """Return whether a trial belongs to a search."""
    return arm == (outcome.setting.level(VARIANT) or outcome.method) and point.covers(outcome.setting)


def _cost(outcome: Outcome) -> float:
    """Return the core-hours of a trial that has ended, whatever its status."""
    return float(outcome.row["core_hours"] or 0.0) if outcome.row is not None else 0.0


def _by_configuration(outcomes: Sequence[Outcome]) -> dict[Setting, list[Outcome]]:
    tried: dict[Setting, list[Outcome]] = {}
    for outcome in outcomes:
        tried.setdefault(outcome.setting, []).append(outcome)
    return tried


def _best(tried: dict[Setting, list[Outcome]], spec: StudySpec) -> float | None:
    metric, seeds = spec.objective.metric, len(getattr(spec.design, "search_seeds", ()))
    means = []
    for outcomes in tried.values():
        values = [value for outcome in outcomes if (value := outcome.metric(metric)) is not None]
        if len(values) == seeds:
            means.append(fmean(values))
    if not means:
        return None
    return max(means) if spec.objective.mode == "max" else min(means)


def _chosen(outcome: Outcome | None, path: str, is_searched: bool) -> TableCell:
    if outcome is None or outcome.row is None or not is_searched:
        return EMPTY
    value: Any = look_up(json.loads(outcome.row["config"]), path)
    return EMPTY if value is None else TableCell(value_text(path, value))
