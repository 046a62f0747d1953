"""Intervals and comparisons over seeds, as pure functions."""

from l2rw_ray.statistics.comparisons import Difference, paired_difference, pooled_paired_difference
from l2rw_ray.statistics.intervals import Interval, mean_interval
from l2rw_ray.statistics.power import detectable_difference, paired_deviation

__all__ = [
    "Difference",
    "Interval",
    "detectable_difference",
    "mean_interval",
    "paired_deviation",
    "paired_difference",
    "pooled_paired_difference",
]
