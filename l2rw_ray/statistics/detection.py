"""AUROC, precision and quantiles of a ranking."""

import numpy as np
from scipy.stats import rankdata


def auroc(suspicion_N: np.ndarray, is_positive_N: np.ndarray) -> float | None:
    """Return the probability that a positive is more suspect than a negative; ties count half.

    The area under the ROC curve, by ranks (Hanley & McNeil 1982).

    Args:
        suspicion_N: Larger is more suspect; no NaN.
        is_positive_N: What the ranking should find, bool.

    Returns:
        None where there are no positives or no negatives.
    """
    positives = int(is_positive_N.sum())
    negatives = len(is_positive_N) - positives
    if not positives or not negatives:
        return None
    ranks_N = rankdata(suspicion_N)
    above = ranks_N[is_positive_N].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def precision_at(suspicion_N: np.ndarray, is_positive_N: np.ndarray, fraction: float) -> float | None:
    """Return the share of positives among the most suspect, as expected if ties are broken at random.

    Args:
        suspicion_N: Larger is more suspect; no NaN.
        is_positive_N: What the ranking should find, bool.
        fraction: Share of examples that are looked at, above 0 and at most 1; at least one example is.

    Returns:
        None where there are no examples.
    """
    if not len(suspicion_N):
        return None
    count = max(1, round(fraction * len(suspicion_N)))
    threshold = np.partition(suspicion_N, len(suspicion_N) - count)[len(suspicion_N) - count]
    above_N, tied_N = suspicion_N > threshold, suspicion_N == threshold
    found = is_positive_N[above_N].sum() + is_positive_N[tied_N].mean() * (count - above_N.sum())
    return float(found / count)


def quantiles(values_N: np.ndarray) -> np.ndarray:
    """Return the quantile of each value among those known, float [N]; NaN where it is NaN, ties share one.

    The middle of the interval that a rank takes: (rank − 1/2) / number of values.
    """
    known = ~np.isnan(values_N)
    found = np.full(len(values_N), np.nan)
    if known.any():
        found[known] = (rankdata(values_N[known]) - 0.5) / known.sum()
    return found
