"""Partial pooling of paired differences over settings: a normal hierarchical model with errors of any size.

Shape suffixes: J settings, S seeds, R draws of error variances, T grid of tau, D draws of both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from l2rw_ray.statistics.setting_errors import draw_error_variances

_LEAST = 3
"""Settings and seeds from which the deviation between settings has a proper posterior."""
_COLUMNS, _DRAWS, _HALVINGS = 80, 4000, 32
_SHARES = (0.025, 0.5, 0.975)
_ROUNDING = 1e-9
"""Differences below this share of the largest value are rounding."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is believed of one number.

    Attributes:
        middle: Posterior median.
        low: Lower 95 % limit.
        high: Upper 95 % limit.
        above: Probability of being above 0.
        within: Probability of being at most the margin in size; None without one.
    """

    middle: float
    low: float
    high: float
    above: float
    within: float | None = None


@dataclass(frozen=True, slots=True)
class PartialPooling:
    """Differences at several settings, as draws from a population of such settings.

    Attributes:
        settings: The difference at each setting.
        average: The mean of the population.
        another: The difference at another setting of the population.
        deviation: The standard deviation between settings.
    """

    settings: tuple[Posterior, ...]
    average: Posterior
    another: Posterior
    deviation: Posterior


def partial_pooling(values_JS: np.ndarray, margin: float | None = None) -> PartialPooling | None:
    """Return the posterior of a normal hierarchical model of differences at several settings.

    A difference is that of its setting, plus an error that all settings of a seed share, plus one of its own,
    whose size is the setting's. Differences of settings are normal around a common mean with deviation tau.
    Priors are flat on the mean and on tau (Gelman 2006, "Prior distributions for variance parameters in
    hierarchical models"). Error variances are drawn; tau is integrated on a grid, and all else exactly
    (Gelman et al. 2013, "Bayesian Data Analysis", chapter 5). Corani et al. 2017, "Statistical comparison of
    classifiers through Bayesian hierarchical modelling", has folds of a cross-validation in place of seeds,
    and t distributions between settings.

    Captures the variation between seeds and between settings. Settings are exchangeable: where levels of a
    factor have a trend, tau holds it as if it were chance.

    Args:
        values_JS: Treatment minus control at each setting and seed [J, S].
        margin: Largest difference that does not matter, above 0; None for none.

    Returns:
        The posterior; None with fewer than three settings or seeds, or without variation at one of them.
    """
    if min(values_JS.shape) < _LEAST or not _varies(values_JS):
        return None
    seeds, centre = values_JS.shape[1], float(values_JS.mean())
    mean_J = values_JS.mean(axis=1) - centre
    drawn = draw_error_variances(np.random.default_rng(0), values_JS)
    row_D, tau_D = _deviations(mean_J, drawn.own_RJ / seeds)
    error_DJ, shared_D = drawn.own_RJ[row_D] / seeds, drawn.shared_R[row_D] / seeds
    weight_DJ = 1 / (tau_D[:, None] ** 2 + error_DJ)
    known_D = 1 / weight_DJ.sum(axis=1)
    average_D = centre + known_D * (weight_DJ @ mean_J)
    drawn_DJ = error_DJ * weight_DJ  # share of the way to the average
    setting_DJ = centre + mean_J - drawn_DJ * (centre + mean_J - average_D[:, None])
    variance_DJ = (1 - drawn_DJ) * error_DJ + drawn_DJ**2 * known_D[:, None] + shared_D[:, None]
    low, middle, high = map(float, np.quantile(tau_D, _SHARES))
    return PartialPooling(
        settings=tuple(
            _posterior(mean_D, variance_D, margin)
            for mean_D, variance_D in zip(setting_DJ.T, variance_DJ.T, strict=True)
        ),
        average=_posterior(average_D, known_D + shared_D, margin),
        another=_posterior(average_D, known_D + shared_D + tau_D**2, margin),
        deviation=Posterior(middle, low, high, 1.0),
    )


def _varies(values_JS: np.ndarray) -> bool:
    """Return whether values vary over seeds at each setting, in their mean over settings, and beyond it."""
    own_JS = values_JS - values_JS.mean(axis=1, keepdims=True)
    own_JS = own_JS - own_JS.mean(axis=0)
    spreads = np.ptp(values_JS, axis=1).min(), np.ptp(values_JS.mean(axis=0)), np.abs(own_JS).max()
    return bool(min(spreads) > _ROUNDING * np.abs(values_JS).max())


def _deviations(mean_J: np.ndarray, error_RJ: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return equally probable pairs of a draw of the errors and a deviation between settings.

    Args:
        mean_J: Mean of each setting, centred [J].
        error_RJ: Variance of that mean's error, by draw [R, J].

    Returns:
        Index of the draw [D] and the deviation [D].
    """
    angle_T = (np.arange(_COLUMNS) + 0.5) / _COLUMNS * math.pi / 2
    scale = math.sqrt(max(float(mean_J.var(ddof=1)), float(np.median(error_RJ))))
    tau_T = scale * np.tan(angle_T)
    logarithm_RT, weight_RT, first_RT, second_RT = np.zeros((4, len(error_RJ), _COLUMNS))
    for mean, error_R in zip(mean_J, error_RJ.T, strict=True):
        total_RT = tau_T**2 + error_R[:, None]
        logarithm_RT += np.log(total_RT)
        weight_RT += 1 / total_RT
        first_RT += mean / total_RT
        second_RT += mean**2 / total_RT
    exponent_RT = logarithm_RT + np.log(weight_RT) + second_RT - first_RT**2 / weight_RT
    density_RT = -exponent_RT / 2 - 2 * np.log(np.cos(angle_T))
    passed = np.cumsum(np.exp(density_RT - density_RT.max()))
    places = np.searchsorted(passed, (np.arange(_DRAWS) + 0.5) / _DRAWS * passed[-1])
    return places // _COLUMNS, tau_T[places % _COLUMNS]


def _posterior(mean_D: np.ndarray, variance_D: np.ndarray, margin: float | None) -> Posterior:
    """Return what a mixture of normal distributions in equal parts says."""
    deviation_D = np.sqrt(variance_D)

    def below(bound: float) -> float:
        return float(special.ndtr((bound - mean_D) / deviation_D).mean())

    ends = float((mean_D - 9 * deviation_D).min()), float((mean_D + 9 * deviation_D).max())
    low, middle, high = (_crossing(below, share, *ends) for share in _SHARES)
    within = None if margin is None else below(margin) - below(-margin)
    return Posterior(middle, low, high, 1 - below(0.0), within)


def _crossing(below: Callable[[float], float], share: float, low: float, high: float) -> float:
    """Return where a distribution function reaches a share, by bisection."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < share else (low, middle)
    return (low + high) / 2
