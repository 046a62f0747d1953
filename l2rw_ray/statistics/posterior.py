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


def shrunken_differences(means: Sequence[float], errors: Sequence[float]) -> tuple[list[float], float]:
    """Return differences at several settings, drawn towards their mean, and their deviation between settings.

    The posterior means of a normal hierarchical model: settings scatter around a common mean with deviation
    tau, estimated by moments (DerSimonian & Laird 1986), and each is measured with its own error. Where the
    settings differ no more than their errors explain, all of them are the common mean.

    Args:
        means: Mean difference at each setting.
        errors: Standard error of each, above 0.
    """
    weights = [1 / error**2 for error in errors]
    centre = math.fsum(w * mean for w, mean in zip(weights, means, strict=True)) / math.fsum(weights)
    spread = math.fsum(w * (mean - centre) ** 2 for w, mean in zip(weights, means, strict=True))
    scale = math.fsum(weights) - math.fsum(w**2 for w in weights) / math.fsum(weights)
    variance = max(0.0, (spread - (len(means) - 1)) / scale) if len(means) > 1 else 0.0
    total = [1 / (variance + error**2) for error in errors]
    common = math.fsum(w * mean for w, mean in zip(total, means, strict=True)) / math.fsum(total)
    kept = [variance / (variance + error**2) for error in errors]
    return [share * mean + (1 - share) * common for share, mean in zip(kept, means, strict=True)], math.sqrt(
        variance
    )
