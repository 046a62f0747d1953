"""The difference that a study would find in its primary comparison, with the range that seeds leave open."""

from collections.abc import Sequence
from dataclasses import dataclass

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.planning.primary_comparison import averages_of
from l2rw_ray.report.design_points.labels import HEADLINE, REGRESSION_HEADLINE
from l2rw_ray.report.design_points.metric_table import metric_table
from l2rw_ray.report.provenance.plan_history import plan_history
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.plans.plan_log import plans_with
from l2rw_ray.results.reader import trial_results
from l2rw_ray.statistics.power import detectable_difference, deviation_interval

LEAST_FREEDOM = 8
"""Degrees of freedom below which a deviation is too uncertain to plan with."""
_LEVEL = 0.05


@dataclass(frozen=True)
class Detectable:
    """Smallest true difference of the primary comparison that a study finds in four cases of five.

    Attributes:
        metric: Name of the headline metric.
        seeds: Number of seeds, those of the last look.
        low: With the smallest deviation between seeds that is plausible, its lower 90 % limit.
        high: With the largest, its upper 90 % limit.
    """

    metric: str
    seeds: int
    low: float
    high: float


def detectable_range(
    spec: StudySpec, planned: Sequence[PlannedTrial], folder: StudyFolder
) -> Detectable | None:
    """Return which difference of the finding the study's seeds detect, at the level it is tested at.

    Captures that the deviation between few seeds is itself uncertain. The level is 5 %,
    divided by the factor for looks and unplanned extensions and, where no comparison was registered to be
    tested first, by the number of averages.

    Args:
        spec: The study.
        planned: Its trials.
        folder: Its folder, whose ledger has finished ones.

    Returns:
        The range; None with fewer than 8 degrees of freedom, or without a comparison or test metrics.
    """
    metrics = metric_table(spec)
    usual = (HEADLINE, REGRESSION_HEADLINE) if spec.is_built_in else ()
    ledger = trial_results(folder.path, list(dict.fromkeys(map(str, (*usual, *metrics.results)))))
    metric = str(metrics.headline({name for result in ledger.values() for name in result.metrics}))
    history = plan_history(plans_with(spec, folder, len(ledger)), spec)
    averages = averages_of(spec, planned, ledger, metric, history)
    if not averages or len(averages[0].difference.values) - 1 < LEAST_FREEDOM:
        return None
    tests = averages[0].evidence.family if averages[0].evidence else 1
    seeds, alpha = spec.look_sizes[-1], _LEVEL / (history.multiplicity * tests)
    limits = deviation_interval(averages[0].difference.values, 0.8)
    low, high = (detectable_difference(deviation, seeds, alpha=alpha) for deviation in limits)
    return Detectable(metric, seeds, low, high)
