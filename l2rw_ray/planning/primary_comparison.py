"""The comparison that the finding of a report will be about, from the trials that are done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from l2rw_ray.config import PlannedTrial, Stage, StudySpec
from l2rw_ray.config.design.changes import single_changes
from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.planning.strategies.interface import Ledger
from l2rw_ray.results.plans.plan_log import PlanLog
from l2rw_ray.statistics import Difference, pooled_paired_difference
from l2rw_ray.statistics.comparisons import BySeed
from l2rw_ray.statistics.gatekeeping import graphical_p_values
from l2rw_ray.statistics.minimum_effective import is_accuracy, worst_value
from l2rw_ray.statistics.significance import paired_t_test

if TYPE_CHECKING:
    from l2rw_ray.report.comparisons.contrast import Contrast
    from l2rw_ray.report.design_points.points import Outcome

_LEVEL = 0.05


@dataclass(frozen=True)
class Averages:
    """The paired differences that a report puts first, averaged over settings.

    Attributes:
        differences: One per treatment, that of the finding first; None where no seed is done on both sides.
        has_primary: Whether the first is tested before the others, rather than with them.
    """

    differences: tuple[Difference | None, ...]
    has_primary: bool

    def finding_p(self) -> float | None:
        """Return the p value of the finding, corrected for the other averages as in a report; None without.

        Without a primary comparison all have the same share of the level, and one that is shown passes half
        of it on to the others; the other half goes to its own settings.
        """
        if not self.differences or self.differences[0] is None:
            return None
        p_values = [paired_t_test(each.values) for each in self.differences if each is not None]
        if self.has_primary:
            return p_values[0]
        number = len(p_values)
        passed = (1 - np.eye(number)) / (2 * max(number - 1, 1))
        return graphical_p_values(p_values, [1 / number] * number, passed)[0]


def averages_of(
    spec: StudySpec, trials: Sequence[PlannedTrial], ledger: Ledger, metric: str, primary: str
) -> Averages | None:
    """Return the paired differences averaged over settings, over the trials that are done.

    Args:
        spec: The study.
        trials: Its trials.
        ledger: Results by trial id, with the metric.
        metric: Name of the metric; an accuracy counts as 0 where a trial diverged.
        primary: Treatment that was registered to be tested first; empty where none was.

    Returns:
        The differences; None if nothing is compared.
    """
    from l2rw_ray.report.comparisons.contrast import has_primary, pairs_of
    from l2rw_ray.report.design_points.design_point import DesignPoint
    from l2rw_ray.report.design_points.setting import Setting

    outcomes, contrast = _planned(spec, trials)
    if contrast is None or not contrast.treatments:
        return None
    contrast = contrast.with_first(primary)
    by_point: dict[tuple[str, Setting], dict[int, float]] = {}
    for outcome in outcomes:
        value = _value(ledger, outcome.trial_id, metric, spec.objective.mode)
        if value is not None:
            by_point.setdefault((outcome.method, outcome.setting), {})[outcome.seed] = value
    points = [DesignPoint(*key, {metric: values}, {}, timing_usable=True) for key, values in by_point.items()]
    differences = (
        _averaged([(pair.treatment.by_seed[metric], pair.control.by_seed[metric]) for pair in pairs])
        for pairs in (pairs_of(contrast, points, level) for level in contrast.treatments)
    )
    return Averages(tuple(differences), has_primary(contrast, primary))


def _averaged(levels: Sequence[tuple[BySeed, BySeed]]) -> Difference | None:
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
    from l2rw_ray.report.provenance.plan_history import plan_history

    history = plan_history(plans, spec)
    averages = averages_of(spec, trials, ledger, spec.objective.metric, history.primary)
    p = None if averages is None else averages.finding_p()
    return p is not None and history.multiplicity * p < _LEVEL


def _value(ledger: Ledger, trial_id: str, metric: str, mode: str) -> float | None:
    result = ledger.get(trial_id)
    if result is not None and result.status == "diverged" and is_accuracy(metric):
        return worst_value(metric, mode)
    return result.metrics.get(metric) if result is not None and result.status == "completed" else None
