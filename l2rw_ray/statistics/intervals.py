"""The mean over seeds and its Student t interval."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from l2rw_ray.statistics.example_sampling import half_width_with_examples

ROUNDING = 1e-12
"""Relative deviation up to which values count as equal."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its confidence limits, in the unit of the values.

    Attributes:
        mean: Arithmetic mean.
        low: Lower limit, NaN with one value.
        high: Upper limit, NaN with one value.
        n: Number of values, one per seed.
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def is_conclusive(self) -> bool:
        """Whether there are limits; one seed has none."""
        return self.n > 1 and not math.isnan(self.low)

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the limits; False without limits."""
        return self.low > 0 or self.high < 0

    def clipped(self, lowest: float, highest: float) -> "Interval":
        """Return the interval with its limits clipped to the possible range of the mean.

        The part that is cut off cannot contain the true mean, so the coverage is unchanged. A t interval on
        logits stays in bounds as well and covers skewed proportions near 1 better (94 against 90 % for a
        mean of 0.95 with 5 seeds). But it is undefined at 0 and 1, where the worst class often is, is not
        an interval of the mean that is printed, and has no counterpart for paired differences.

        Where the mean itself lies beyond that range, as of a share that is reported in percent, the limits
        are left as they are.
        """
        if not lowest <= self.mean <= highest:
            return self
        low, high = (min(max(limit, lowest), highest) for limit in (self.low, self.high))
        return replace(self, low=low, high=high) if self.is_conclusive else self


def mean_interval(
    values: Iterable[float], confidence: float = 0.95, example_variance: float = 0.0
) -> Interval:
    """Return the mean with a two-sided Student t interval.

    The interval captures how far the mean over these seeds may lie from the mean over all seeds, that is
    the draws of split, corruption, initial weights and order together; not another data set or model. It
    assumes independent, roughly normal values; with few seeds, a skewed or discrete distribution makes it
    too narrow.

    Args:
        values: One finite value per seed.
        confidence: Nominal coverage, between 0 and 1.
        example_variance: What the choice of test examples that all seeds share adds to the variance of the
            mean. Above 0, the interval captures this as well.

    Returns:
        The interval. With one value its limits are NaN: one seed supports no conclusion.

    Raises:
        ValueError: There are no values, a value is not finite, or the confidence is outside (0, 1).
    """
    sample = np.array(list(values), dtype=np.float64)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    if sample.size == 0:
        raise ValueError("the mean of no values is undefined")
    if not np.isfinite(sample).all():
        raise ValueError(f"values must be finite, not {sample[~np.isfinite(sample)][0]}")
    mean = float(sample.mean())
    if sample.size == 1:
        return Interval(mean, math.nan, math.nan, 1)
    half = half_width(float(sample.std(ddof=1)), sample.size, confidence)
    if example_variance:
        half = half_width_with_examples(half, example_variance, confidence)
    return Interval(mean, mean - half, mean + half, int(sample.size))


def is_constant(values: Sequence[float]) -> bool:
    """Return whether values are equal up to rounding, so that the error of their mean cannot be estimated.

    False for a single value, and for zeros: equal values at every seed are a difference of zero.
    """
    sample = np.asarray(values, dtype=np.float64)
    size = float(np.abs(sample).max(initial=0.0))
    return sample.size > 1 and size > 0 and float(np.ptp(sample)) <= ROUNDING * size


def half_width(deviation: float, n: int, confidence: float) -> float:
    """Return half the width of the t interval of a mean of `n` values with this sample deviation."""
    quantile = special.stdtrit(n - 1, (1 + confidence) / 2)
    return float(quantile * deviation / math.sqrt(n))
