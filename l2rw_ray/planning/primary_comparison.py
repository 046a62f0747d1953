"""The comparison that the finding of a report will be about, from the trials that are done."""

import math
from collections.abc import Mapping, Sequence

from l2rw_ray.config import PlannedTrial, Stage, StudySpec
from l2rw_ray.config.design.changes import single_changes
from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.planning.strategies.interface import Ledger
from l2rw_ray.report.comparisons.comparison import Comparison, with_evidence
from l2rw_ray.report.comparisons.contrast import (
    Contrast,
    choose_contrast,
    compare,
    compare_pooled,
    has_primary,
)
from l2rw_ray.report.comparisons.families import gated
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.metric_table import metric_table
from l2rw_ray.report.design_points.points import METHOD_FACTOR, Outcome, chance_level, factors_of, join
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.report.provenance.plan_history import PlanHistory, plan_history
from l2rw_ray.results.plans.plan_log import PlanLog
from l2rw_ray.results.plans.plan_rows import PlanRow
from l2rw_ray.results.trial_result import TrialResult


def averages_of(
    spec: StudySpec, trials: Sequence[PlannedTrial], ledger: Ledger, metric: str, history: PlanHistory
) -> tuple[Comparison, ...]:
    """Return the paired differences averaged over settings as a report would, that of the finding first.

    Runs that diverged count as in a report: as chance level, or last by rank in an error.

    Args:
        spec: The study.
        trials: Its trials.
        ledger: Results by trial id, with the metric.
        metric: Name of the metric.
        history: How its plan came about, which corrects p values.

    Returns:
        One per treatment that has a seed in common with the control; empty if nothing is compared.
    """
    outcomes, contrast = _planned(spec, trials)
    if contrast is None or not contrast.treatments:
        return ()
    contrast, metric = contrast.with_first(history.primary), metric_table(spec).named(metric)
    points = _points(outcomes, ledger, metric)
    averages, _, _ = gated(
        with_evidence(compare_pooled(contrast, points, outcomes, metric)),
        with_evidence(compare(contrast, points, metric)),
        (),
        has_primary=has_primary(contrast, history.primary),
        multiplicity=history.multiplicity,
    )
    return averages


def treatments_of(spec: StudySpec, trials: Sequence[PlannedTrial]) -> tuple[str, ...]:
    """Return the names of what the report will compare with the control, as far as they are known.

    Args:
        spec: The study.
        trials: Its trials that are known.
    """
    if isinstance(spec.design, TunedComparisonDesign):
        return tuple(spec.design.arms)[1:]
    _, contrast = _planned(spec, trials)
    return () if contrast is None else tuple(map(contrast.name, contrast.treatments))


def _planned(spec: StudySpec, trials: Sequence[PlannedTrial]) -> tuple[tuple[Outcome, ...], Contrast | None]:
    """Return final trials as a report would join them, and what it compares; None without any."""
    design, own = spec.design, spec.trial.title
    finals = [trial for trial in trials if trial.stage is Stage.FINAL]
    arms, path = None, METHOD_FACTOR
    if isinstance(design, TunedComparisonDesign):
        arms = {
            name: str(single_changes(arm.set).get(METHOD_FACTOR, own)) for name, arm in design.arms.items()
        }
        path = VARIANT
    rows = [PlanRow(each.trial_id, each.seed, each.factors, each.resources, each.stage) for each in finals]
    outcomes = tuple(join(rows, (), own, method_factor=path))
    if not outcomes:
        return (), None
    methods = tuple(dict.fromkeys(outcome.method for outcome in outcomes))
    return outcomes, choose_contrast(methods, factors_of(outcomes), arms)


def is_shown(spec: StudySpec, trials: Sequence[PlannedTrial], ledger: Ledger, plans: PlanLog) -> bool:
    """Return whether a planned look shows the finding, in the objective.

    The decision is the report's: the primary comparison alone where there is one, else corrected for the
    other averages, and p values multiplied by the number of looks, which holds whatever ends a study at one
    of the planned looks.

    Args:
        spec: The study.
        trials: Its trials at the seeds of the look.
        ledger: Results by trial id, with the objective.
        plans: Its plans, the present one last.
    """
    averages = averages_of(spec, trials, ledger, spec.objective.metric, plan_history(plans, spec))
    return bool(averages) and averages[0].is_clear


def _points(outcomes: Sequence[Outcome], ledger: Ledger, metric: str) -> list[DesignPoint]:
    """Return design points with the values of one metric, in plan order."""
    groups: dict[tuple[str, Setting], dict[int, TrialResult]] = {}
    for outcome in outcomes:
        if outcome.trial_id in ledger:
            own = groups.setdefault((outcome.method, outcome.setting), {})
            own[outcome.seed] = ledger[outcome.trial_id]
    classes = max((each.classes or 0 for group in groups.values() for each in group.values()), default=0)
    worst = chance_level(metric, classes or None)
    return [_point(*key, group, metric, worst) for key, group in groups.items()]


def _point(
    method: str, setting: Setting, results: Mapping[int, TrialResult], metric: str, worst: float | None
) -> DesignPoint:
    diverged = frozenset(seed for seed, result in results.items() if result.status == "diverged")
    values = {
        seed: result.metrics[metric]
        for seed, result in results.items()
        if result.status == "completed" and math.isfinite(result.metrics.get(metric, math.nan))
    }
    if worst is not None:
        values |= dict.fromkeys(sorted(diverged), worst)
    by_seed = {metric: values} if values else {}
    return DesignPoint(method, setting, by_seed, {}, timing_usable=True, diverged=diverged)
