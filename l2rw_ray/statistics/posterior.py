"""The posterior of a mean paired difference: how probable it is to be above zero, or to be negligible."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from scipy import special

from l2rw_ray.statistics.intervals import is_constant


def probability_above(differences: Sequence[float], bound: float = 0.0) -> float | None:
    """Return the probability that the mean difference exceeds a bound, given the seeds.

    The posterior of the mean of normal differences under the flat prior (Jeffreys): a t distribution around
    their mean. Captures the variation between seeds. It agrees with the one-sided t test, in other words:
    the prior holds large differences to be as plausible as small ones, so that with few seeds it is too sure.

    Args:
        differences: Treatment minus control, one per seed.
        bound: The bound.

    Returns:
        The probability; None with fewer than two seeds, or without variation.
    """
    n = len(differences)
    if n < 2 or is_constant(differences) or not any(differences):
        return None
    error = stdev(differences) / math.sqrt(n)
    return float(special.stdtr(n - 1, (fmean(differences) - bound) / error)) if error else None


def probability_within(differences: Sequence[float], margin: float) -> float | None:
    """Return the probability that the mean difference is negligible, at most the margin in size.

    Args:
        differences: Treatment minus control, one per seed.
        margin: Largest difference that does not matter, above 0.

    Returns:
        The probability under the posterior of `probability_above`; None where that is unknown.
    """
    below, above = (probability_above(differences, bound) for bound in (-margin, margin))
    return None if below is None or above is None else below - above
