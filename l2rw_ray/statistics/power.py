"""What a number of seeds can show: variance between paired figures, and the difference it hides."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special


def paired_deviation(points: Sequence[Mapping[int, float]]) -> float | None:
    """Standard deviation of the difference between two design points at equal seeds.

    Each figure is taken for the sum of its point's mean, its seed's and a rest; the rest's deviation,
    times the square root of two, is that of a difference. All points' variances are thus taken for
    equal, and pooled. Captures the variation between seeds of differences, not of the figures.

    Args:
        points: Figure by seed of each design point.

    Returns:
        The deviation, in the unit of the figures; None where fewer than two points share two seeds.
    """
    usable = [point for point in points if len(point) > 1]
    shared = sorted(set(usable[0]).intersection(*usable[1:])) if usable else []
    if len(usable) < 2 or len(shared) < 2:
        return None
    figures = np.array([[point[seed] for seed in shared] for point in usable])
    rest = figures - figures.mean(axis=1, keepdims=True) - figures.mean(axis=0) + figures.mean()
    freedom = (len(usable) - 1) * (len(shared) - 1)
    return math.sqrt(2 * float(np.square(rest).sum()) / freedom)


def detectable_difference(deviation: float, seeds: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest true difference that a paired t test over so many seeds finds with this probability.

    Args:
        deviation: Standard deviation of the difference at equal seeds.
        seeds: How many, two or more.
        power: Probability of finding it.
        alpha: Two-sided level of the test.
    """
    freedom = seeds - 1
    critical = special.stdtrit(freedom, 1 - alpha / 2)
    centre = special.nctdtrinc(freedom, 1 - power, critical)  # of the noncentral t; the far tail adds nothing
    return float(centre) / math.sqrt(seeds) * deviation
