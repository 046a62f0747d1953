"""Tests of a paired difference, and Holm's correction for multiple comparisons."""

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy import special

from l2rw_ray.statistics.example_sampling import p_with_examples
from l2rw_ray.statistics.intervals import is_constant

_MAX_FLIPPED = 14
"""Seeds up to which all sign flips are enumerated, 16,384 of them."""


def paired_t_test(differences: Sequence[float], example_variance: float = 0.0) -> float | None:
    """Return the two-sided p value of a mean difference of zero, by Student's t test over seeds.

    Captures the variation between seeds and assumes independent, roughly normal differences. It is the
    headline test: the 95 % interval excludes zero exactly if p is below 0.05, and unlike a permutation
    test it has power with three or five seeds.

    Args:
        differences: Treatment minus control, one per seed.
        example_variance: What the choice of test examples that all seeds share adds to the variance of the
            mean. Above 0, the p value captures this as well.

    Returns:
        The p value; None with fewer than two seeds, and if the differences are the same at each seed but
        not zero, so that their error cannot be estimated.
    """
    sample = np.asarray(differences, dtype=np.float64)
    if sample.size < 2 or is_constant(differences):
        return None
    error = float(sample.std(ddof=1)) / math.sqrt(sample.size)
    mean = float(sample.mean())
    if example_variance:
        return p_with_examples(mean, error, sample.size, example_variance)
    if error == 0:
        return 1.0
    return float(2 * special.stdtr(sample.size - 1, -abs(mean) / error))


def sign_flip_test(
    differences: Sequence[float], rng: np.random.Generator, resamples: int = 9999
) -> float | None:
    """Return the two-sided p value of a sign-flip test: differences are symmetric around zero.

    Captures the variation between seeds without assuming a normal distribution. Exact up to 14 seeds, for
    which all flips are enumerated. With n seeds p is at least 2^(1−n), 0.25 with three and 0.0625 with
    five, so it can confirm a t test with six seeds or more.

    Args:
        differences: Treatment minus control, one per seed.
        rng: Draws flips with more than 14 seeds.
        resamples: Number of flips drawn.

    Returns:
        The p value; None with fewer than two seeds.
    """
    sample = np.asarray(differences, dtype=np.float64)
    if sample.size < 2:
        return None
    is_exact = sample.size <= _MAX_FLIPPED
    if is_exact:
        signs = np.array(list(product((-1.0, 1.0), repeat=sample.size)))
    else:
        signs = rng.choice((-1.0, 1.0), size=(resamples, sample.size))
    observed = abs(sample.sum())
    beyond = int((np.abs(signs @ sample) >= observed * (1 - 1e-9)).sum())
    return beyond / len(signs) if is_exact else (beyond + 1) / (resamples + 1)


def signed_rank_test(differences: Sequence[float], rng: np.random.Generator) -> float | None:
    """Return the two-sided p value of Wilcoxon's signed-rank test, in which values may be infinite.

    Ranks need no scale on which a run that diverged has a value: it is worse than every other by an infinite
    difference, and two such runs are equal. The signs of the ranks are flipped, all of them up to 14 seeds,
    so that ties and zeros are exact too. With n seeds p is at least 2^(1−n).

    Args:
        differences: Treatment minus control, one per seed; not NaN.
        rng: Draws flips with more than 14 seeds.

    Returns:
        The p value; None with fewer than two seeds.
    """
    sample = np.asarray(differences, dtype=np.float64)
    return sign_flip_test((np.sign(sample) * _ranks(np.abs(sample))).tolist(), rng)


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Return p values corrected by Holm's step-down method over the whole family.

    Controls the probability of rejecting any true null hypothesis, whatever the dependence between tests.
    Comparisons without a p value do not belong to the family. Equal to `multipletests` of statsmodels,
    which takes a second to import and collects garbage at each call.

    Args:
        p_values: One per comparison; None if it has none.

    Returns:
        The corrected p values in the same order, at most 1.
    """
    known = np.array([p for p in p_values if p is not None])
    order = np.argsort(known, kind="stable")
    stepped = np.maximum.accumulate(known[order] * np.arange(known.size, 0, -1))
    corrected = np.empty_like(known)
    corrected[order] = np.minimum(stepped, 1.0)
    remaining = iter(corrected.tolist())
    return tuple(None if p is None else next(remaining) for p in p_values)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks, tied values sharing their mean rank, without the slow import of `scipy.stats`."""
    _, place, number = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(number) - (number - 1) / 2)[place]
    return ranks
