"""Error variances of several settings that share a part of their errors at each seed, by Gibbs sampling.

The settings' own variances are drawn by a Metropolis step.

Shape suffixes: J settings, S seeds, K contrasts between seeds, C chains, R draws.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

_PRIOR = 1
"""Seeds that the common size of errors counts for in the variance of a setting."""
_CHAINS, _BURN_IN, _KEPT, _THINNING = 600, 40, 16, 4


@dataclass(frozen=True, slots=True)
class ErrorVariances:
    """Draws of the error variances of one seed.

    Attributes:
        own_RJ: Variance of what is the setting's own, by draw and setting [R, J].
        shared_R: Variance of what all settings of a seed share, by draw [R].
    """

    own_RJ: np.ndarray
    shared_R: np.ndarray


def draw_error_variances(rng: np.random.Generator, values_JS: np.ndarray) -> ErrorVariances:
    """Return draws from the posterior of error variances, whatever the mean of each setting.

    Each setting's variance has a scaled inverse chi-square prior around a common size, which has Jeffreys'
    prior: a setting whose few seeds happen to agree does not count as exact. The variance of a seed's
    weighted mean, shared and own errors together, has Jeffreys' prior as well; own variances are proposed
    without it, and accepted by the ratio of the two priors.

    Args:
        rng: Source of the draws.
        values_JS: Values that vary at each setting and from seed to seed [J, S].

    Returns:
        The draws.
    """
    settings, seeds = values_JS.shape
    contrasts = seeds - 1
    values_JK = values_JS @ np.linalg.svd(np.eye(seeds) - 1 / seeds)[0][:, :contrasts]
    spread_J = np.square(values_JK - values_JK.mean(axis=0)).mean(axis=1)
    own_CJ = np.tile(spread_J + 0.05 * np.square(values_JK).mean(), (_CHAINS, 1))
    size_C, kept = own_CJ.mean(axis=1), []
    for sweep in range(1, _BURN_IN + _KEPT * _THINNING + 1):
        shared_C, error_CK = _draw_shared(rng, own_CJ, values_JK)
        square_CJ = np.square(values_JK - error_CK[:, None, :]).sum(axis=2)
        freedom = _PRIOR + contrasts
        proposed_CJ = (_PRIOR * size_C[:, None] + square_CJ) / rng.chisquare(freedom, square_CJ.shape)
        acceptance_C = (shared_C + _of_mean(own_CJ)) / (shared_C + _of_mean(proposed_CJ))
        own_CJ = np.where((rng.random(_CHAINS) < acceptance_C)[:, None], proposed_CJ, own_CJ)
        scale_C = _PRIOR / 2 * (1 / own_CJ).sum(axis=1)
        size_C = rng.gamma(settings * _PRIOR / 2, size=_CHAINS) / scale_C
        if sweep > _BURN_IN and sweep % _THINNING == 0:
            kept.append((own_CJ, shared_C))
    own, shared = zip(*kept, strict=True)
    return ErrorVariances(np.concatenate(own), np.concatenate(shared))


def _draw_shared(
    rng: np.random.Generator, own_CJ: np.ndarray, values_JK: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return draws of the variance of shared errors, given the own ones, and of those errors [C, K]."""
    chains, half = len(own_CJ), values_JK.shape[1] / 2
    of_mean_C = _of_mean(own_CJ)
    mean_CK = of_mean_C[:, None] * ((1 / own_CJ) @ values_JK)
    square_C = np.square(mean_CK).sum(axis=1)
    # the variance of the mean is scaled inverse chi-square, but at least what the own errors make of it
    share_C = rng.random(chains) * special.gammainc(half, square_C / of_mean_C / 2)
    share_C = np.maximum(share_C, np.finfo(float).tiny)  # of many seeds that agree far too well
    shared_C = np.maximum(square_C / (2 * special.gammaincinv(half, share_C)) - of_mean_C, 0.0)
    kept_C = shared_C / (shared_C + of_mean_C)
    noise_CK = np.sqrt(kept_C * of_mean_C)[:, None] * rng.normal(size=mean_CK.shape)
    return shared_C, kept_C[:, None] * mean_CK + noise_CK


def _of_mean(own_CJ: np.ndarray) -> np.ndarray:
    """Return the variance of the mean over settings, each weighted by the inverse of its own."""
    variance_C: np.ndarray = 1 / (1 / own_CJ).sum(axis=1)
    return variance_C
