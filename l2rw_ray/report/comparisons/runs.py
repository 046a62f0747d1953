"""How the seeds of a compared level ended: completed, diverged or missing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.comparisons.contrast import Contrast
from l2rw_ray.report.design_points.points import Outcome
from l2rw_ray.report.design_points.runs import Runs


def with_runs(
    comparisons: Sequence[Comparison], contrast: Contrast, outcomes: Sequence[Outcome], basis: str = ""
) -> tuple[Comparison, ...]:
    """Return averages over settings with the runs of treatment and control.

    Args:
        comparisons: Averages over settings.
        contrast: What is compared.
        outcomes: All final trials that are planned.
        basis: What the differences are between, where the names of the levels do not say it all.
    """
    runs = {
        contrast.name(level): _runs_of(contrast, outcomes, level)
        for level in (contrast.control, *contrast.treatments)
    }
    return tuple(
        replace(each, basis=basis, runs=(runs[each.treatment], runs[each.control])) for each in comparisons
    )


def _runs_of(contrast: Contrast, outcomes: Sequence[Outcome], level: Any) -> Runs:
    own = [outcome for outcome in outcomes if contrast.level_of(outcome) == level]
    diverged = {outcome.seed for outcome in own if outcome.has_diverged}
    missing = {outcome.seed for outcome in own if not outcome.is_completed and not outcome.has_diverged}
    return Runs(contrast.name(level), len({outcome.seed for outcome in own}), len(diverged), len(missing))
