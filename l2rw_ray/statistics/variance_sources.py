"""How much of the variation between seeds each source of randomness makes."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, variance

from scipy import special

from l2rw_ray.statistics.comparisons import BySeed

_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Variance:
    """A variance with its confidence limits.

    Attributes:
        value: The estimate, in the squared unit of the values.
        low: Lower limit.
        high: Upper limit.
        freedom: Degrees of freedom.
        seeds: Number of seeds it is estimated from.
    """

    value: float
    low: float
    high: float
    freedom: int
    seeds: int


def variance_between(values: BySeed, confidence: float = 0.95) -> Variance | None:
    """Return the variance of values between seeds; None with fewer than two.

    Args:
        values: Value by seed, roughly normal.
        confidence: Nominal coverage, between 0 and 1.
    """
    if len(values) < 2:
        return None
    return _with_limits(variance(values.values()), len(values) - 1, len(values), confidence)


def redrawn_variance(values: BySeed, redrawn: BySeed, confidence: float = 0.95) -> Variance | None:
    """Return the variance that one source of randomness makes, from runs in which it alone was drawn anew.

    Half the mean square of the change (Jansen 1999, "Analysis of variance designs for model output"). What a
    source makes in interaction with others is in it, so that the variances of all sources may add up to more
    than that between seeds. The interval is that of n squares of normal changes.

    Args:
        values: Value by seed.
        redrawn: Value by seed with the source drawn anew.
        confidence: Nominal coverage, between 0 and 1.

    Returns:
        The variance over the seeds that both have; None with fewer than two.
    """
    shared = values.keys() & redrawn.keys()
    if len(shared) < 2:
        return None
    halves = [(values[seed] - redrawn[seed]) ** 2 / 2 for seed in shared]
    return _with_limits(fmean(halves), len(halves), len(halves), confidence)


def largest_source(sources: Mapping[str, Variance]) -> str | None:
    """Return the source that makes more variation than each other one, by F tests at 5 %; None if it is open.

    Args:
        sources: Variance by name of the source.
    """
    ranked = sorted(sources, key=lambda name: -sources[name].value)
    if len(ranked) < 2 or not sources[ranked[0]].value:
        return None
    first, second = sources[ranked[0]], sources[ranked[1]]
    p = 2 * special.fdtr(second.freedom, first.freedom, second.value / first.value)
    return ranked[0] if p < _LEVEL else None


def _with_limits(value: float, freedom: int, seeds: int, confidence: float) -> Variance:
    tail = (1 - confidence) / 2
    high, low = (freedom / float(special.chdtri(freedom, share)) for share in (1 - tail, tail))
    return Variance(value, value * low, value * high, freedom, seeds)
