"""Whether a paired difference is more than chance: two tests, and Holm's correction for asking often."""

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy import special

from l2rw_ray.statistics.intervals import is_constant

_MAX_FLIPPED = 14
"""Seeds up to which all sign flips are gone through, 16,384 of them."""


def paired_t_test(differences: Sequence[float]) -> float | None:
    """Two-sided p of a mean difference of zero, by Student's t over seeds.

    Captures the variation between seeds. Supposes differences that are independent and roughly normal.
    It is the headline test: it goes with the t interval, which excludes zero at 95 % exactly where this p
    is below 0.05, and unlike a permutation test it can find something with three or five seeds.

    Args:
        differences: Treatment minus control, one per seed.

    Returns:
        The p value; None with fewer than two seeds, of which nothing can be concluded, and where the
        differences are the same at each seed but not zero, so that nothing tells how certain they are.
    """
    sample = np.asarray(differences, dtype=np.float64)
    if sample.size < 2 or is_constant(differences):
        return None
    error = float(sample.std(ddof=1)) / math.sqrt(sample.size)
    mean = float(sample.mean())
    if error == 0:
        return 1.0
    return float(2 * special.stdtr(sample.size - 1, -abs(mean) / error))


def sign_flip_test(
    differences: Sequence[float], rng: np.random.Generator, resamples: int = 9999
) -> float | None:
    """Two-sided p of a difference that is symmetric around zero, by flipping signs.

    Captures the variation between seeds without supposing a normal distribution. Exact up to 14 seeds,
    where all flips are gone through. With n seeds it cannot fall below 2^(1−n): 0.25 with three, 0.0625
    with five, so it confirms a t test of six seeds or more and says little of fewer.

    Args:
        differences: Treatment minus control, one per seed.
        rng: Draws the flips of more than 14 seeds.
        resamples: How many it draws.

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


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """P values corrected by Holm's step-down method over the whole family.

    Keeps the probability of calling any true null significant at 5 %, however the tests depend on each
    other. Comparisons without a p value are no part of the family. Equal to `multipletests` of
    statsmodels, which collects garbage at each call and is a second's import.

    Args:
        p_values: Of each comparison; None where it has none.

    Returns:
        The corrected ones in the same order, at most 1.
    """
    known = np.array([p for p in p_values if p is not None])
    order = np.argsort(known, kind="stable")
    stepped = np.maximum.accumulate(known[order] * np.arange(known.size, 0, -1))
    corrected = np.empty_like(known)
    corrected[order] = np.minimum(stepped, 1.0)
    remaining = iter(corrected.tolist())
    return tuple(None if p is None else next(remaining) for p in p_values)
