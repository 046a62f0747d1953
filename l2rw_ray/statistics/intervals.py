"""The mean over seeds and its Student t interval."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

ROUNDING = 1e-12
"""Relative deviation up to which values are taken as equal."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its confidence limits, in the unit of the values.

    Attributes:
        mean: Arithmetic mean.
        low: Lower limit, NaN with one value.
        high: Upper limit, NaN with one value.
        n: How many values, which are seeds.
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def is_conclusive(self) -> bool:
        """Whether there are limits at all; one seed has none."""
        return self.n > 1

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the limits; False where there are none."""
        return self.low > 0 or self.high < 0

    def clipped(self, lowest: float, highest: float) -> "Interval":
        """The same with limits cut off at the least and the largest value that there can be.

        What is cut off cannot hold the true mean, so the coverage stays exactly what it was. A t interval
        on logits stays in bounds, too, and covers skewed shares near 1 better (94 against 90 % of a mean
        of 0.95 with 5 seeds), but it has no value at 0 and 1, where the worst class often is, is not of
        the mean that is printed, and has no counterpart for paired differences.
        """
        low, high = (min(max(limit, lowest), highest) for limit in (self.low, self.high))
        return replace(self, low=low, high=high) if self.is_conclusive else self


def mean_interval(values: Iterable[float], confidence: float = 0.95) -> Interval:
    """Mean and two-sided Student t interval.

    Captures how far the mean over these seeds may lie from the mean over all seeds: draw of split,
    corruption, initial weights and order together. Does not capture another data set or model. It
    supposes values that are independent and roughly normal; with a few seeds, a skewed or discrete
    distribution makes it too narrow.

    Args:
        values: One figure per seed, finite.
        confidence: Nominal coverage, between 0 and 1.

    Returns:
        The interval; with one value its limits are NaN: one seed supports no conclusion.

    Raises:
        ValueError: No values, a value that is not finite, or a confidence outside (0, 1).
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
    return Interval(mean, mean - half, mean + half, int(sample.size))


def is_constant(values: Sequence[float]) -> bool:
    """Whether values do not vary but for rounding: nothing then tells how far off their mean may be.

    A single value is no such case, nor are zeros: equal figures at every seed are no difference.
    """
    sample = np.asarray(values, dtype=np.float64)
    size = float(np.abs(sample).max(initial=0.0))
    return sample.size > 1 and size > 0 and float(np.ptp(sample)) <= ROUNDING * size


def half_width(deviation: float, n: int, confidence: float) -> float:
    """Half the width of the t interval of a mean of `n` values with this sample deviation."""
    quantile = special.stdtrit(n - 1, (1 + confidence) / 2)
    return float(quantile * deviation / math.sqrt(n))
