"""Aggregate a metric over several tasks.

Source: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice".
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from l2rw_ray.statistics.bootstrap import MIN_SEEDS
from l2rw_ray.statistics.intervals import Interval

_RESAMPLES = 4000
_SHARE_CUT = 0.25


def interquartile_mean(tasks: Sequence[Sequence[float]]) -> float:
    """Return the mean of the middle half of all values, one per task and seed.

    It is more robust to an outlying task than the mean, and more efficient than the median.
    """
    return float(stats.trim_mean(np.concatenate([np.asarray(task) for task in tasks]), _SHARE_CUT))


def interquartile_mean_interval(
    tasks: Sequence[Sequence[float]],
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = _RESAMPLES,
) -> Interval:
    """Return the interquartile mean over tasks with a stratified percentile bootstrap interval.

    The interval captures the variation between seeds within each task: seeds are resampled task by task.
    The tasks are fixed, so nothing follows for other tasks. With few seeds per task the limits are too
    narrow; below five there are none.

    Args:
        tasks: Values by seed of each task, on one scale, at least one each.
        rng: Draws the resamples.
        confidence: Nominal coverage, between 0 and 1.
        resamples: Number of bootstrap resamples.

    Returns:
        The interval. `n` is the smallest number of seeds of a task; below five, the limits are NaN.

    Raises:
        ValueError: There are no tasks, or a task has no values.
    """
    if not tasks or any(len(task) == 0 for task in tasks):
        raise ValueError("every task needs a value")
    found, fewest = interquartile_mean(tasks), min(map(len, tasks))
    if fewest < MIN_SEEDS:
        return Interval(found, float("nan"), float("nan"), fewest)
    drawn = [rng.choice(np.asarray(task), size=(resamples, len(task))) for task in tasks]
    means = stats.trim_mean(np.concatenate(drawn, axis=1), _SHARE_CUT, axis=1)
    low, high = np.quantile(means, ((1 - confidence) / 2, (1 + confidence) / 2))
    return Interval(found, float(low), float(high), fewest)
