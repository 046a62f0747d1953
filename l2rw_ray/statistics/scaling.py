"""Scaling of costs with a size: power laws, affine laws, ratios and speed-up by workers.

Every law is fitted within each seed, with a Student t interval over the fits. Levels of one seed share
data and initial weights, so they are not counted as independent; if all seeds have all levels, this is
least squares with errors clustered by seed. Intervals capture the variation between seeds on the machine
that was measured, not other machines. `misfit` shows whether the law itself holds.

Shape suffixes: S seeds, L levels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from l2rw_ray.statistics.intervals import Interval, mean_interval

BySeed = Mapping[int, float]
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """y = factor · x^exponent.

    Attributes:
        exponent: Mean exponent over seeds, and its limits.
        factor: Geometric mean over seeds of y at x = 1.
        misfit: Largest relative distance of a level's geometric mean from the law; 0 with two levels.
        levels: Number of different x.
    """

    exponent: Interval
    factor: float
    misfit: float
    levels: int

    def at(self, x: float) -> float:
        """Return y at `x`."""
        return self.factor * math.pow(x, self.exponent.mean)


@dataclass(frozen=True, slots=True)
class AffineLaw:
    """y = constant + slope · x.

    Attributes:
        constant: Mean over seeds, and its limits.
        slope: Mean over seeds, and its limits.
        misfit: Largest relative distance of a point's mean from the law; 0 with two levels.
        levels: Number of different x.
    """

    constant: Interval
    slope: Interval
    misfit: float
    levels: int


class Scaling(StrEnum):
    """What stays equal while workers are added."""

    STRONG = "strong"
    """The total work: Amdahl's law."""
    WEAK = "weak"
    """The work per worker: Gustafson's law."""


@dataclass(frozen=True, slots=True)
class SerialFraction:
    """The share of a step that is not shortened by more workers.

    Attributes:
        scaling: The law that was fitted.
        interval: Mean over seeds, and its limits; below 0 where speed-up is more than linear, above 1
            where more workers are slower than one.
        by_seed: The fraction of each seed.
    """

    scaling: Scaling
    interval: Interval
    by_seed: tuple[float, ...]

    def fitted(self, workers: int) -> float:
        """Return the speed-up of the law at the mean fraction, to compare with measured ones."""
        s = self.interval.mean
        return 1 / (s + (1 - s) / workers) if self.scaling is Scaling.STRONG else workers - s * (workers - 1)

    def project(self, workers: int) -> Interval | None:
        """Return the speed-up that the law predicts: a projection, not a measurement.

        The law has no term for communication that grows with the workers. Fractions of single seeds are
        clipped to 0 and 1, which makes the interval too narrow.

        Args:
            workers: Number of workers, 1 or more.

        Returns:
            The speed-up; None if the mean fraction is outside (0, 1): more workers were slower than one, or
            more than linearly faster, so that the law does not apply.
        """
        if not 0 < self.interval.mean < 1:
            return None
        s_S = np.clip(np.array(self.by_seed), 0.0, 1.0)
        strong = self.scaling is Scaling.STRONG
        speedup_S = 1 / (s_S + (1 - s_S) / workers) if strong else workers - s_S * (workers - 1)
        return _geometric(np.log(speedup_S))


def power_law(levels: Sequence[float], samples: Sequence[BySeed]) -> PowerLaw | None:
    """Fit a line to the logarithms of x and y, within each seed.

    Args:
        levels: x of each level, above 0.
        samples: y by seed at each level, above 0; only seeds present at all levels count.

    Returns:
        The law; None with fewer than two different levels, or without a seed present at all of them.

    Raises:
        ValueError: An x or y is not finite or not above 0.
    """
    y_SL = _shared(samples)
    if len(set(levels)) < 2 or y_SL is None:
        return None
    x_L = np.array(levels, dtype=np.float64)
    if not (np.isfinite(x_L).all() and np.isfinite(y_SL).all() and x_L.min() > 0 and y_SL.min() > 0):
        raise ValueError("a power law needs finite values above 0")
    constant_S, slope_S = lines(np.log(x_L), np.log(y_SL))
    fitted_L = constant_S.mean() + slope_S.mean() * np.log(x_L)
    misfit = float(np.abs(np.expm1(np.log(y_SL).mean(axis=0) - fitted_L)).max())
    factor = math.exp(float(constant_S.mean()))
    return PowerLaw(mean_interval(slope_S), factor, _no_less(misfit), len(set(levels)))


def affine_law(levels: Sequence[float], samples: Sequence[BySeed]) -> AffineLaw | None:
    """Fit a straight line within each seed.

    Args:
        levels: x of each point; several points may share one.
        samples: y by seed at each point; only seeds present at all points count.

    Returns:
        The law; None with fewer than two different levels, or without a seed present at all points.

    Raises:
        ValueError: An x or y is not finite.
    """
    y_SL = _shared(samples)
    if len(set(levels)) < 2 or y_SL is None:
        return None
    x_L = np.array(levels, dtype=np.float64)
    if not (np.isfinite(x_L).all() and np.isfinite(y_SL).all()):
        raise ValueError("an affine law needs finite values")
    constant_S, slope_S = lines(x_L, y_SL)
    fitted_L = constant_S.mean() + slope_S.mean() * x_L
    mean_L = y_SL.mean(axis=0)
    misfit = float((np.abs(mean_L - fitted_L) / np.abs(mean_L)).max()) if mean_L.all() else math.inf
    return AffineLaw(mean_interval(constant_S), mean_interval(slope_S), _no_less(misfit), len(set(levels)))


def paired_ratio(numerator: BySeed, denominator: BySeed, confidence: float = 0.95) -> Interval | None:
    """Return the geometric mean of the ratios at equal seeds, with the t interval of their logarithms.

    The interval captures the variation of the ratio between seeds and is valid whether or not the two are
    correlated. Its limits are above 0, and those of the inverse ratio are their inverses.

    Args:
        numerator: Value by seed, above 0.
        denominator: Value by seed, above 0.
        confidence: Nominal coverage, between 0 and 1.

    Returns:
        The interval, with the geometric mean as `mean`; None if they share no seed.

    Raises:
        ValueError: A value of a shared seed is not finite or not above 0.
    """
    pair_SL = _shared([numerator, denominator])
    if pair_SL is None:
        return None
    if not (np.isfinite(pair_SL).all() and pair_SL.min() > 0):
        raise ValueError("a ratio needs finite values above 0")
    return _geometric(np.log(pair_SL[:, 0] / pair_SL[:, 1]), confidence)


def serial_fraction(
    scaling: Scaling, workers: Sequence[int], times: Sequence[BySeed]
) -> SerialFraction | None:
    """Fit Amdahl's or Gustafson's law within each seed, by least squares.

    Relative to one worker, a step of W workers takes the time s + (1 − s)/W (Amdahl 1967), and W workers do
    W − s (W − 1) times the work in the same time (Gustafson 1988).

    Args:
        scaling: The law to fit.
        workers: Numbers of workers, one of them 1.
        times: Step time by seed of each, above 0; only seeds present for all numbers count.

    Returns:
        The fraction; None without one worker, without several workers, or if they share no seed.
    """
    t_SL = _shared(times)
    if 1 not in workers or len(set(workers)) < 2 or t_SL is None:
        return None
    w_L = np.array(workers, dtype=np.float64)
    s_S = serial_fractions(scaling, w_L, t_SL)
    return SerialFraction(scaling, mean_interval(s_S), tuple(s_S.tolist()))


def serial_fractions(scaling: Scaling, w_L: Array, t_SL: Array) -> Array:
    """Return the serial fraction [S] of each seed; one of `w_L` is 1."""
    alone_S = t_SL[:, list(w_L).index(1.0)]
    if scaling is Scaling.STRONG:
        lost_SL, most_L = t_SL / alone_S[:, None] - 1 / w_L, 1 - 1 / w_L
    else:
        lost_SL, most_L = w_L - w_L * alone_S[:, None] / t_SL, w_L - 1
    fractions: Array = (lost_SL * most_L).sum(axis=1) / np.square(most_L).sum()
    return fractions


def lines(x_L: Array, y_SL: Array) -> tuple[Array, Array]:
    """Return constant and slope [S] of the least-squares line of each seed."""
    centred_L = x_L - x_L.mean()
    slope_S: Array = (y_SL * centred_L).sum(axis=1) / np.square(centred_L).sum()
    return y_SL.mean(axis=1) - slope_S * x_L.mean(), slope_S


def _shared(samples: Sequence[BySeed]) -> Array | None:
    """Return the values [S, L] at the seeds that all samples share; None if there are none."""
    seeds = sorted(set(samples[0]).intersection(*samples[1:])) if samples else []
    return np.array([[sample[seed] for sample in samples] for seed in seeds]) if seeds else None


def _geometric(logarithm_S: Array, confidence: float = 0.95) -> Interval:
    interval = mean_interval(logarithm_S, confidence)
    low, high = math.exp(interval.low), math.exp(interval.high)
    return Interval(math.exp(interval.mean), low, high, interval.n)


def _no_less(misfit: float) -> float:
    """Return the misfit, with rounding errors set to 0."""
    return misfit if misfit > 1e-12 else 0.0
