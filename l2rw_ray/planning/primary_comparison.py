"""The comparison that the finding of a report will be about, from the trials that are done."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from l2rw_ray.config import PlannedTrial, Stage, StudySpec
from l2rw_ray.config.design.changes import single_changes
from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.planning.strategies.interface import Ledger
from l2rw_ray.statistics import Difference
from l2rw_ray.statistics.minimum_effective import is_accuracy, worst_value

if TYPE_CHECKING:
    from l2rw_ray.report.comparisons.contrast import Contrast
    from l2rw_ray.report.design_points.points import Outcome

_LEVEL = 0.05


def primary_difference(
    spec: StudySpec, trials: Sequence[PlannedTrial], ledger: Ledger, metric: str
) -> Difference | None:
    """Return the paired difference that the finding is about, over the trials that are done.

    Args:
        spec: The study.
        trials: Its trials.
        ledger: Results by trial id, with the metric.
        metric: Name of the metric; an accuracy counts as 0 where a trial diverged.

    Returns:
        The difference; None if nothing is compared, or no seed is done on both sides.
    """
    from l2rw_ray.report.comparisons.contrast import pairs_of
    from l2rw_ray.report.design_points.design_point import DesignPoint
    from l2rw_ray.report.design_points.setting import Setting
    from l2rw_ray.statistics import pooled_paired_difference

    outcomes, contrast = _planned(spec, trials)
    if contrast is None or not contrast.treatments:
        return None
    by_point: dict[tuple[str, Setting], dict[int, float]] = {}
    for outcome in outcomes:
        value = _value(ledger, outcome.trial_id, metric, spec.objective.mode)
        if value is not None:
            by_point.setdefault((outcome.method, outcome.setting), {})[outcome.seed] = value
    points = [DesignPoint(*key, {metric: values}, {}, timing_usable=True) for key, values in by_point.items()]
    pairs = pairs_of(contrast, points, contrast.treatments[0])
    levels = [(pair.treatment.by_seed[metric], pair.control.by_seed[metric]) for pair in pairs]
    found = pooled_paired_difference(levels) if levels else None
    return found if found is not None and found.interval is not None else None


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


def _planned(
    spec: StudySpec, trials: Sequence[PlannedTrial]
) -> "tuple[tuple[Outcome, ...], Contrast | None]":
    """Return final trials as a report would join them, and what it compares; None without any."""
    from l2rw_ray.report.comparisons.contrast import choose_contrast
    from l2rw_ray.report.design_points.points import METHOD_FACTOR, factors_of, join
    from l2rw_ray.results.folder import PlanRow

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


def is_shown(spec: StudySpec, trials: Sequence[PlannedTrial], ledger: Ledger) -> bool:
    """Return whether a planned look shows the primary comparison, in the objective.

    It has to have p < 0.05 divided by the number of looks. The report multiplies its own p values by the same
    number, which holds whatever ends a study at one of the planned looks.

    Args:
        spec: The study.
        trials: Its trials at the seeds of the look.
        ledger: Results by trial id, with the objective.
    """
    from l2rw_ray.statistics.significance import paired_t_test

    difference = primary_difference(spec, trials, ledger, spec.objective.metric)
    p = None if difference is None else paired_t_test(difference.values)
    return p is not None and p < _LEVEL / spec.looks


def _value(ledger: Ledger, trial_id: str, metric: str, mode: str) -> float | None:
    result = ledger.get(trial_id)
    if result is not None and result.status == "diverged" and is_accuracy(metric):
        return worst_value(metric, mode)
    return result.metrics.get(metric) if result is not None and result.status == "completed" else None
