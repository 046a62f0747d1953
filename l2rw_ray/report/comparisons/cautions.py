"""Cautions for readers who are no statisticians: what so few seeds cannot show."""

import math
from collections.abc import Sequence
from statistics import fmean

from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.design_points.labels import count, metric_spec_for
from l2rw_ray.report.design_points.points import Outcome
from l2rw_ray.statistics.proportion import largest_unseen_rate

_FEW = 6
"""Seeds from which a difference that is shown is hardly larger than the true one."""


def cautions(pooled: Sequence[Comparison]) -> tuple[str, ...]:
    """Return what the number of seeds leaves open, as a warning; nothing without a comparison.

    Args:
        pooled: Comparisons averaged over settings, the headline first.
    """
    interval = pooled[0].difference.interval if pooled else None
    if interval is None or not interval.is_conclusive:
        return ()
    parts, seeds = [], interval.n
    if seeds < _FEW and any(each.is_clear for each in pooled):
        parts.append("differences that are found tend to be too large")
    if not any(runs.diverged for runs in pooled[0].runs):
        rate = 100 * largest_unseen_rate(seeds)
        parts.append(f"a failure that strikes up to {rate:.0f} % of runs may have gone unseen")
    return (f"With {count(seeds, 'seed')} {', and '.join(parts)}",) if parts else ()


def shared_test_set(
    outcomes: Sequence[Outcome], metric: str, pooled: Sequence[Comparison] = ()
) -> tuple[str, ...]:
    """Return that the luck of the test examples is in no interval, if all seeds share them, and its size.

    Seeds that draw a test set each vary in its examples too, so that their intervals hold that luck. Where
    one test set is shared, it moves all seeds together, and only trials that kept the outcome of each example
    have it in their intervals. The size is the binomial 95 % interval of one arm.

    Args:
        outcomes: All final trials.
        metric: Name of the headline metric.
        pooled: Comparisons averaged over settings.
    """
    if any(each.difference.example_error is not None for each in pooled):
        return ()
    completed = [outcome for outcome in outcomes if outcome.row is not None and outcome.is_completed]
    seeds = {outcome.seed for outcome in completed}
    tested = {outcome.row["split_hash_test"] for outcome in completed if outcome.row}
    sizes = {dict(outcome.row["split_sizes"] or ()).get("test") for outcome in completed if outcome.row}
    known = [value for outcome in completed if (value := outcome.metric(metric)) is not None]
    size = sizes.pop() if len(sizes) == 1 else None
    if len(seeds) < 2 or len(tested) != 1 or None in tested or not size or not known:
        return ()
    luck = "its luck is in none of them"
    if metric_spec_for(metric).is_share:
        mean = min(max(fmean(known), 0.0), 1.0)
        half = 1.96 * math.sqrt(mean * (1 - mean) / size)
        luck = f"its luck, about ±{100 * half:.1f} points for each arm, is in none of them"
    examples, what = count(int(size), "example"), "intervals are over seeds, with this test set"
    return (f"All seeds are tested on the same {examples}: {what}; {luck}",)
