"""The interval of a share that was counted."""

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
