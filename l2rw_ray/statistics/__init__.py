"""Intervals and comparisons over seeds, as pure functions."""

from l2rw_ray.statistics.comparisons import Difference, paired_difference, pooled_paired_difference
from l2rw_ray.statistics.intervals import Interval, mean_interval

__all__ = ["Difference", "Interval", "mean_interval", "paired_difference", "pooled_paired_difference"]
