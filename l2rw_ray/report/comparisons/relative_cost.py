"""The duration of each trial of a function relative to that of the control at the same seed."""

from collections.abc import Sequence
from dataclasses import replace

from l2rw_ray.report.comparisons.contrast import Contrast
from l2rw_ray.report.design_points.points import Outcome
from l2rw_ray.report.design_points.setting import Setting

RATIO = "overhead_ratio"


def with_relative_cost(outcomes: Sequence[Outcome], contrast: Contrast) -> list[Outcome]:
    """Return the trials with the ratio of their duration to the control's, where they do not report one.

    Args:
        outcomes: The trials.
        contrast: What is compared with what.
    """
    controls: dict[tuple[Setting, int], float] = {}
    for outcome in outcomes:
        if outcome.is_completed and contrast.level_of(outcome) == contrast.control:
            controls[contrast.rest_of(outcome.setting), outcome.seed] = outcome.metric("duration_s") or 0.0
    return [_with_ratio(each, controls.get((contrast.rest_of(each.setting), each.seed))) for each in outcomes]


def _with_ratio(outcome: Outcome, control_s: float | None) -> Outcome:
    duration_s = outcome.metric("duration_s")
    if outcome.row is None or not duration_s or not control_s or outcome.row.get(RATIO) is not None:
        return outcome
    return replace(outcome, row={**outcome.row, RATIO: duration_s / control_s})
