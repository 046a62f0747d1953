"""Intervals of a share that was counted."""

import math

from scipy import special


def proportion_interval(found: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the limits of a share that was counted in a random sample, each from 0 to 1.

    The interval captures that another sample of the same size would have had another share. It covers 95 %
    on average over shares, and does not collapse where none or all are found.

    Args:
        found: How many of the sample are counted.
        of: Size of the sample, 1 or more.
        confidence: Nominal coverage, between 0 and 1.

    Source:
        Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    z = float(special.ndtri((1 + confidence) / 2))
    share, weight = found / of, z**2 / of
    centre = (share + weight / 2) / (1 + weight)
    half = z * math.sqrt(share * (1 - share) / of + weight / (4 * of)) / (1 + weight)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def exact_proportion_interval(found: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return limits of a probability that hold at least as often as they say, however few were counted.

    The interval captures that other seeds would have had another count. Wilson's is narrower and covers as
    much on average, but for rare events and few seeds it may cover less.

    Args:
        found: How many are counted.
        of: How many there are, 1 or more.
        confidence: Least coverage, between 0 and 1.

    Source:
        Clopper & Pearson 1934, "The use of confidence or fiducial limits".
    """
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(found, of - found + 1, tail)) if found else 0.0
    high = float(special.betaincinv(found + 1, of - found, 1 - tail)) if found < of else 1.0
    return low, high


def largest_unseen_rate(of: int, confidence: float = 0.95) -> float:
    """Return the largest probability of an event that may not occur once among so many runs.

    Args:
        of: Number of runs without it, 1 or more.
        confidence: Probability that a more frequent event would have occurred.
    """
    return 1 - math.pow(1 - confidence, 1 / of)
