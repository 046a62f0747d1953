"""Intervals, comparisons and tests over seeds, as pure functions.

Functions that import `scipy.stats` stay in their modules (`bootstrap`, `aggregates`), so that
`l2rw-ray plan`, which needs none of them, answers in well under a second.
"""

from l2rw_ray.statistics.comparisons import (
    Difference,
    difference_of_differences,
    paired_difference,
    pooled_paired_difference,
)
from l2rw_ray.statistics.effect_size import hedges_g
from l2rw_ray.statistics.intervals import Interval, mean_interval
from l2rw_ray.statistics.power import detectable_difference, paired_deviation

__all__ = [
    "Difference",
    "Interval",
    "detectable_difference",
    "difference_of_differences",
    "hedges_g",
    "mean_interval",
    "paired_deviation",
    "paired_difference",
    "pooled_paired_difference",
]
