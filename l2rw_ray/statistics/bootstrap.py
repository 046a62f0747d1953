"""Bootstrap intervals over seeds, a check on intervals that assume a normal distribution."""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy import stats

from l2rw_ray.statistics.intervals import Interval, is_constant

MIN_SEEDS = 5
"""With fewer, even the range of all differences covers their centre less than nine times in ten."""
_RESAMPLES = 9999


def bootstrap_interval(
    differences: Sequence[float],
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = _RESAMPLES,
) -> Interval | None:
    """Return the mean of paired differences with a BCa bootstrap interval (Efron 1987).

    Captures the variation between seeds, skewed or not. Whole seeds are resampled: differences that are
    pooled over levels are averaged within each seed first, which keeps the dependence between levels of
    one seed. The limits lie between the smallest and the largest difference, so the interval is too narrow
    with few seeds: for normal differences a nominal 95 % interval covers about 84 % with 5 seeds and 90 %
    with 10. With 3 seeds the range of the differences covers 75 % at best; below five seeds there is no
    interval. The t interval is the headline; a clear disagreement points to skewed differences.

    Args:
        differences: Treatment minus control, one per seed, finite.
        rng: Draws the resamples.
        confidence: Nominal coverage, between 0 and 1.
        resamples: Number of bootstrap resamples.

    Returns:
        The interval; None with fewer than five seeds.
    """
    sample = np.asarray(differences, dtype=np.float64)
    if sample.size < MIN_SEEDS:
        return None
    mean = float(sample.mean())
    if not sample.any() or is_constant(differences):  # nothing to resample
        return Interval(mean, mean, mean, int(sample.size))
    with warnings.catch_warnings(category=stats.DegenerateDataWarning, action="ignore"):
        found = stats.bootstrap(
            (sample,),
            np.mean,
            n_resamples=resamples,
            confidence_level=confidence,
            method="BCa",
            rng=rng,
        ).confidence_interval
    return Interval(mean, float(found.low), float(found.high), int(sample.size))
