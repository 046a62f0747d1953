"""How a figure grows with a size: power laws, affine laws, ratios, and what more workers bring.

Every fit is made within each seed, and its interval is Student's t over the seeds' fits. A seed's levels
share data and initial weights, so they are not counted as independent: where all seeds have all levels
this is least squares with errors clustered by seed. All intervals capture the variation between seeds on
the machine that was measured; none captures another machine, nor that the law itself may not hold, which
`misfit` tells.

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
        exponent: Mean over the seeds' exponents, and its limits.
        factor: Geometric mean over the seeds of y at x = 1.
        misfit: Largest relative distance of a level's geometric mean from the law; 0 with two levels.
        levels: How many different x there are.
    """

    exponent: Interval
    factor: float
    misfit: float
    levels: int

    def at(self, x: float) -> float:
        """The law's y."""
        return self.factor * math.pow(x, self.exponent.mean)


@dataclass(frozen=True, slots=True)
class AffineLaw:
    """y = constant + slope · x.

    Attributes:
        constant: Mean over the seeds, and its limits.
        slope: The same.
        misfit: Largest relative distance of a point's mean from the law; 0 with two levels.
        levels: How many different x there are.
    """

    constant: Interval
    slope: Interval
    misfit: float
    levels: int


class Scaling(StrEnum):
    """What stays equal while workers are added."""

    STRONG = "strong"
    """The work of all together: Amdahl's law."""
    WEAK = "weak"
    """The work of each: Gustafson's law."""


@dataclass(frozen=True, slots=True)
class SerialFraction:
    """The share of a step that more workers do not shorten.

    Attributes:
        scaling: By which law it was fitted.
        interval: Mean over seeds, and its limits; below 0 where speed-up is more than linear, above 1
            where more workers are slower than one.
        by_seed: Each seed's own.
    """

    scaling: Scaling
    interval: Interval
    by_seed: tuple[float, ...]

    def project(self, workers: int) -> Interval | None:
        """Speed-up the law would give so many workers: a projection, not a measurement.

        The law has no term for communication that grows with the workers. Each seed's fraction is
        taken for 0 or 1 where it lies beyond, and the interval is then too narrow. None where the mean
        does: more workers were slower than one, or more than linearly faster, and there is no law to go by.

        Args:
            workers: How many, 1 or more.
        """
        if not 0 < self.interval.mean < 1:
            return None
        s_S = np.clip(np.array(self.by_seed), 0.0, 1.0)
        strong = self.scaling is Scaling.STRONG
        speedup_S = 1 / (s_S + (1 - s_S) / workers) if strong else workers - s_S * (workers - 1)
        return _geometric(np.log(speedup_S))


def power_law(levels: Sequence[float], samples: Sequence[BySeed]) -> PowerLaw | None:
    """Fit a line to the logarithms of both, within each seed.

    Args:
        levels: x of each level, above 0.
        samples: y by seed at each level, above 0; only seeds that all levels have count.

    Returns:
        The law; None with fewer than two different levels, or no seed that all of them have.

    Raises:
        ValueError: An x or y is not finite and above 0.
    """
    y_SL = _shared(samples)
    if len(set(levels)) < 2 or y_SL is None:
        return None
    x_L = np.array(levels, dtype=np.float64)
    if not (np.isfinite(x_L).all() and np.isfinite(y_SL).all() and x_L.min() > 0 and y_SL.min() > 0):
        raise ValueError("a power law wants finite values above 0")
    constant_S, slope_S = lines(np.log(x_L), np.log(y_SL))
    fitted_L = constant_S.mean() + slope_S.mean() * np.log(x_L)
    misfit = float(np.abs(np.expm1(np.log(y_SL).mean(axis=0) - fitted_L)).max())
    factor = math.exp(float(constant_S.mean()))
    return PowerLaw(mean_interval(slope_S), factor, _no_less(misfit), len(set(levels)))


def affine_law(levels: Sequence[float], samples: Sequence[BySeed]) -> AffineLaw | None:
    """Fit a straight line within each seed.

    Args:
        levels: x of each point; several points may share one.
        samples: y by seed at each point; only seeds that all points have count.

    Returns:
        The law; None with fewer than two different levels, or no seed that all points have.

    Raises:
        ValueError: An x or y is not finite.
    """
    y_SL = _shared(samples)
    if len(set(levels)) < 2 or y_SL is None:
        return None
    x_L = np.array(levels, dtype=np.float64)
    if not (np.isfinite(x_L).all() and np.isfinite(y_SL).all()):
        raise ValueError("an affine law wants finite values")
    constant_S, slope_S = lines(x_L, y_SL)
    fitted_L = constant_S.mean() + slope_S.mean() * x_L
    mean_L = y_SL.mean(axis=0)
    misfit = float((np.abs(mean_L - fitted_L) / np.abs(mean_L)).max()) if mean_L.all() else math.inf
    return AffineLaw(mean_interval(constant_S), mean_interval(slope_S), _no_less(misfit), len(set(levels)))


def paired_ratio(numerator: BySeed, denominator: BySeed, confidence: float = 0.95) -> Interval | None:
    """Geometric mean of the ratios at equal seeds, with the t interval of their logarithms.

    Captures the variation between seeds of the ratio. Right whether or not the two vary together; its
    limits are above 0, and those of the inverse ratio are their inverses.

    Args:
        numerator: Figure by seed, above 0.
        denominator: The same.
        confidence: Nominal coverage, between 0 and 1.

    Returns:
        The interval, whose `mean` is the geometric one; None where they share no seed.

    Raises:
        ValueError: A figure of a shared seed is not finite and above 0.
    """
    pair_SL = _shared([numerator, denominator])
    if pair_SL is None:
        return None
    if not (np.isfinite(pair_SL).all() and pair_SL.min() > 0):
        raise ValueError("a ratio wants finite values above 0")
    return _geometric(np.log(pair_SL[:, 0] / pair_SL[:, 1]), confidence)


def serial_fraction(
    scaling: Scaling, workers: Sequence[int], times: Sequence[BySeed]
) -> SerialFraction | None:
    """Fit Amdahl's or Gustafson's law within each seed, by least squares.

    With one worker's time as 1, a step of W takes s + (1 − s)/W (Amdahl 1967), and W workers do
    W − s (W − 1) times one's work in its time (Gustafson 1988).

    Args:
        scaling: Which of the two.
        workers: Numbers of workers, one of them 1.
        times: Step time by seed of each, above 0; only seeds that all have count.

    Returns:
        The fraction; None without a single worker, without more than one, or where they share no seed.
    """
    t_SL = _shared(times)
    if 1 not in workers or len(set(workers)) < 2 or t_SL is None:
        return None
    w_L = np.array(workers, dtype=np.float64)
    s_S = serial_fractions(scaling, w_L, t_SL)
    return SerialFraction(scaling, mean_interval(s_S), tuple(s_S.tolist()))


def serial_fractions(scaling: Scaling, w_L: Array, t_SL: Array) -> Array:
    """Each seed's serial fraction [S]; one of `w_L` is 1."""
    alone_S = t_SL[:, list(w_L).index(1.0)]
    if scaling is Scaling.STRONG:
        lost_SL, most_L = t_SL / alone_S[:, None] - 1 / w_L, 1 - 1 / w_L
    else:
        lost_SL, most_L = w_L - w_L * alone_S[:, None] / t_SL, w_L - 1
    fractions: Array = (lost_SL * most_L).sum(axis=1) / np.square(most_L).sum()
    return fractions


def lines(x_L: Array, y_SL: Array) -> tuple[Array, Array]:
    """Constant and slope [S] of each seed's line of least squares."""
    centred_L = x_L - x_L.mean()
    slope_S: Array = (y_SL * centred_L).sum(axis=1) / np.square(centred_L).sum()
    return y_SL.mean(axis=1) - slope_S * x_L.mean(), slope_S


def _shared(samples: Sequence[BySeed]) -> Array | None:
    """Values [S, L] at the seeds that all samples have; None where there are none."""
    seeds = sorted(set(samples[0]).intersection(*samples[1:])) if samples else []
    return np.array([[sample[seed] for sample in samples] for seed in seeds]) if seeds else None


def _geometric(logarithm_S: Array, confidence: float = 0.95) -> Interval:
    interval = mean_interval(logarithm_S, confidence)
    low, high = math.exp(interval.low), math.exp(interval.high)
    return Interval(math.exp(interval.mean), low, high, interval.n)


def _no_less(misfit: float) -> float:
    """Without what rounding leaves of nothing."""
    return misfit if misfit > 1e-12 else 0.0
