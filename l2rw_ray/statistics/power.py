"""Power: the smallest difference that a number of seeds can detect."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from statistics import stdev

import numpy as np
from scipy import special


def paired_deviation(points: Sequence[Mapping[int, float]]) -> float | None:
    """Return the standard deviation of the difference between two design points at equal seeds.

    Each value is modelled as the sum of a point effect, a seed effect and a residual. The deviation of a
    difference is that of the residuals times the square root of two. Variances of all points are assumed
    equal and pooled. Captures the variation between seeds of differences, not of the values themselves.

    Args:
        points: Value by seed of each design point.

    Returns:
        The deviation, in the unit of the values; None if fewer than two points share two seeds.
    """
    usable = [point for point in points if len(point) > 1]
    shared = sorted(set(usable[0]).intersection(*usable[1:])) if usable else []
    if len(usable) < 2 or len(shared) < 2:
        return None
    values = np.array([[point[seed] for seed in shared] for point in usable])
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    freedom = (len(usable) - 1) * (len(shared) - 1)
    return math.sqrt(2 * float(np.square(rest).sum()) / freedom)


def detectable_difference(deviation: float, seeds: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest true difference that a paired t test over these seeds detects.

    Args:
        deviation: Standard deviation of the difference at equal seeds.
        seeds: Number of seeds, two or more.
        power: Probability of detecting it.
        alpha: Two-sided significance level.
    """
    freedom = seeds - 1
    critical = special.stdtrit(freedom, 1 - alpha / 2)
    centre = special.nctdtrinc(freedom, 1 - power, critical)  # of the noncentral t; the far tail adds nothing
    return float(centre) / math.sqrt(seeds) * deviation


def seeds_to_detect(
    difference: float, deviation: float, power: float = 0.8, alpha: float = 0.05, most: int = 1000
) -> int | None:
    """Return the smallest number of seeds with which a paired t test detects a true difference of this size.

    Args:
        difference: The difference.
        deviation: Standard deviation of the difference at equal seeds.
        power: Probability of detecting it.
        alpha: Two-sided significance level.
        most: Largest number of seeds to consider.

    Returns:
        The number; None if it exceeds `most`.
    """
    seeds = range(2, most + 1)
    place = bisect_left(
        seeds, True, key=lambda n: bool(detectable_difference(deviation, n, power, alpha) <= abs(difference))
    )
    return seeds[place] if place < len(seeds) else None


def left_to_seeds(
    difference: float, example_variance: float, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Return the size of a difference that a t test over seeds has to show, where test examples add an error.

    Test examples that all seeds share hide a part of it, which no number of seeds can show; the two parts add
    in squares.

    Args:
        difference: The difference.
        example_variance: What the choice of test examples adds to the variance of its mean.
        power: Probability of detecting it.
        alpha: Two-sided significance level.

    Returns:
        The size, at most that of the difference; 0 where the examples hide all of it.
    """
    quantiles = float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
    return math.sqrt(max(0.0, difference**2 - quantiles**2 * example_variance))


def deviation_to_plan_with(values: Sequence[float], confidence: float = 0.8) -> float:
    """Return the upper confidence limit of the standard deviation of normal values, to plan a new study with.

    The deviation of a few values is as often too small as too large: a study planned with it would miss its
    power half the time. One planned with the limit reaches it with the given probability (Browne 1995, "On
    the use of a pilot sample for sample size determination").

    Args:
        values: Two values or more.
        confidence: Probability that the true deviation is below the limit.
    """
    freedom = len(values) - 1
    return stdev(values) * math.sqrt(freedom / float(special.chdtri(freedom, confidence)))


def deviation_interval(values: Sequence[float], confidence: float = 0.8) -> tuple[float, float]:
    """Return the limits of the standard deviation of normal values.

    Args:
        values: Two values or more.
        confidence: Probability that the true deviation lies between the limits.
    """
    freedom, tail = len(values) - 1, (1 - confidence) / 2
    low, high = (float(special.chdtri(freedom, share)) for share in (tail, 1 - tail))
    return stdev(values) * math.sqrt(freedom / low), stdev(values) * math.sqrt(freedom / high)
