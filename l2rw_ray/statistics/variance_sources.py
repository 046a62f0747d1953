"""How much of the variation between seeds each source of randomness makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance

from scipy import special

from l2rw_ray.statistics.comparisons import BySeed

_LEVEL = 0.05
_ROUNDING = 1e-9
"""Deviations below this share of the largest value are rounding."""


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


@dataclass(frozen=True, slots=True)
class NestedVariances:
    """Variances of groups and of what varies within them.

    Attributes:
        groups: Variance of the groups' own means; its estimate and limits are not below 0.
        within: Variance within groups.
        p: P value of the two-sided F test that both are equal.
    """

    groups: Variance
    within: Variance
    p: float


def nested_variances(
    pairs: Sequence[tuple[float, float]], confidence: float = 0.95
) -> NestedVariances | None:
    """Return how much of the variation lies between groups, from two values of each.

    A nested analysis of variance with random effects. The limits of the groups' variance, a difference of two
    mean squares, are those of the modified large-sample method (Ting, Burdick, Graybill, Jeyaratnam & Lu
    1990, "Confidence intervals on linear combinations of variance components that are unrestricted in sign").
    Where the estimate would be below 0, they are those of an estimate of 0: the method's own upper limit
    falls with it, and is below 0 for one in forty samples of groups that do not differ.

    Args:
        pairs: The two values of each group, roughly normal.
        confidence: Nominal coverage, between 0 and 1.

    Returns:
        The variances; None with fewer than two groups, or without variation within them.
    """
    groups = len(pairs)
    own = fmean((first - second) ** 2 / 2 for first, second in pairs) if groups > 1 else 0.0
    if own <= (_ROUNDING * max((abs(value) for pair in pairs for value in pair), default=0.0)) ** 2:
        return None
    between = 2 * variance([fmean(pair) for pair in pairs])
    at_least_0 = max(between, own), groups - 1
    low, high = _limits_of_difference(at_least_0, (own, groups), (1 - confidence) / 2)
    value, low, high = (max(0.0, each / 2) for each in (between - own, low, high))
    ratio = between / own / 3  # the mean square between groups holds twice their variance and that within
    tails = special.fdtr(groups - 1, groups, ratio), special.fdtrc(groups - 1, groups, ratio)
    return NestedVariances(
        Variance(value, low, high, groups - 1, groups),
        _with_limits(own, groups, groups, confidence),
        2 * float(min(tails)),
    )


def _limits_of_difference(
    first: tuple[float, int], second: tuple[float, int], tail: float
) -> tuple[float, float]:
    """Return the limits of a difference of two independent mean squares, each with its degrees of freedom."""
    (a, n), (b, k) = first, second
    below_a, above_b = 1 - n / _chi2(n, 1 - tail), k / _chi2(k, tail) - 1
    above_a, below_b = n / _chi2(n, tail) - 1, 1 - k / _chi2(k, 1 - tail)
    upper, lower = (float(special.fdtri(n, k, share)) for share in (1 - tail, tail))
    cross_low = ((upper - 1) ** 2 - (below_a * upper) ** 2 - above_b**2) / upper
    cross_high = ((1 - lower) ** 2 - (above_a * lower) ** 2 - below_b**2) / lower
    down = (below_a * a) ** 2 + (above_b * b) ** 2 + cross_low * a * b
    up = (above_a * a) ** 2 + (below_b * b) ** 2 + cross_high * a * b
    return a - b - sqrt(max(0.0, down)), a - b + sqrt(max(0.0, up))


def _chi2(freedom: int, share: float) -> float:
    return float(special.chdtri(freedom, 1 - share))


def _with_limits(value: float, freedom: int, seeds: int, confidence: float) -> Variance:
    tail = (1 - confidence) / 2
    high, low = (freedom / float(special.chdtri(freedom, share)) for share in (1 - tail, tail))
    return Variance(value, value * low, value * high, freedom, seeds)
