"""Intervals by resampling seeds, as a check on those that suppose a normal distribution."""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy import stats

from l2rw_ray.statistics.intervals import Interval, is_constant

MIN_SEEDS = 5
"""Below, even the range of all seeds covers the centre of the differences less than nine times in ten."""
_RESAMPLES = 9999


def bootstrap_interval(
    differences: Sequence[float],
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = _RESAMPLES,
) -> Interval | None:
    """Mean and BCa bootstrap interval (Efron 1987) of differences at equal seeds.

    Captures the variation between seeds, skewed or not. Seeds are resampled whole: differences that are
    pooled over levels are averaged within each seed first, so what levels of one seed share stays
    together. Its limits lie within the smallest and the largest difference, so with few seeds it is
    too narrow: of normal differences it covers about 84 % with 5 seeds and 90 % with 10 where it says
    95 %. With n = 3 the range of the differences itself covers 75 % at best, so fewer than five seeds
    have none. The t interval is the headline; where this one disagrees, differences are skewed.

    Args:
        differences: Treatment minus control, one per seed, finite.
        rng: Draws the resamples.
        confidence: Nominal coverage, between 0 and 1.
        resamples: How often seeds are drawn.

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
