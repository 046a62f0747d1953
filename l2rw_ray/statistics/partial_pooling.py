"""Partial pooling of paired differences over settings: a normal hierarchical model, integrated on a grid.

Shape suffixes: J settings, S seeds, D draws.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

_LEAST = 3
"""Settings and seeds from which the deviation between settings has a proper posterior."""
_ROWS, _COLUMNS, _DRAWS = 60, 400, 20_000
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

    A difference is that of its setting, plus an error that all settings of a seed share, plus one of its own.
    Differences of settings are normal around a common mean with deviation tau. Priors are flat on the mean
    and on tau (Gelman 2006, "Prior distributions for variance parameters in hierarchical models"), and
    Jeffreys' on the errors; tau and the error of its own are integrated on a grid (Gelman et al. 2013,
    "Bayesian Data Analysis", chapter 5). Corani et al. 2017, "Statistical comparison of classifiers through
    Bayesian hierarchical modelling", has folds of a cross-validation in place of seeds, and t distributions
    between settings.

    Captures the variation between seeds and between settings. Errors have the same variance at every setting,
    and settings are exchangeable: where levels of a factor have a trend, tau holds it as if it were chance.

    Args:
        values_JS: Treatment minus control at each setting and seed [J, S].
        margin: Largest difference that does not matter, above 0; None for none.

    Returns:
        The posterior; None with fewer than three settings or seeds, or without variation.
    """
    settings, seeds = values_JS.shape
    if min(settings, seeds) < _LEAST:
        return None
    mean_J, mean_S, centre = values_JS.mean(axis=1), values_JS.mean(axis=0), float(values_JS.mean())
    own = float(np.square(values_JS - mean_J[:, None] - mean_S + centre).sum())
    rounding = _ROUNDING * float(np.abs(values_JS).max())
    if own <= values_JS.size * rounding**2 or np.ptp(mean_S) <= rounding:
        return None
    rng = np.random.default_rng(0)
    between = seeds * float(np.square(mean_J - centre).sum())
    tau_D, error_D = _deviations(rng, settings, seeds, between, own)
    shared = math.sqrt(float(mean_S.var(ddof=1)) / seeds)
    average_D = centre + shared * rng.standard_t(seeds - 1, _DRAWS)
    kept_D = tau_D**2 / (tau_D**2 + error_D**2 / seeds)
    noise_JD = rng.normal(size=(settings, _DRAWS)) * np.sqrt(kept_D / seeds) * error_D
    effect_JD = kept_D * (mean_J - centre)[:, None] + noise_JD - noise_JD.mean(axis=0)
    population_D = average_D + tau_D / math.sqrt(settings) * rng.normal(size=_DRAWS)
    another_D = population_D + tau_D * rng.normal(size=_DRAWS)
    return PartialPooling(
        settings=tuple(_posterior(average_D + effect_D, margin) for effect_D in effect_JD),
        average=_posterior(population_D, margin),
        another=_posterior(another_D, margin),
        deviation=_posterior(tau_D, margin),
    )


def equal_variances_p(values_JS: np.ndarray) -> float:
    """Return the p value of Bartlett's test (1937) that errors have the same variance at every setting.

    Args:
        values_JS: Values at each setting and seed [J, S], with S > 1.
    """
    settings, seeds = values_JS.shape
    variance_J, freedom = values_JS.var(axis=1, ddof=1), seeds - 1
    if not variance_J.all():
        return 0.0 if variance_J.any() else 1.0
    total = settings * freedom * math.log(variance_J.mean()) - freedom * float(np.log(variance_J).sum())
    correction = 1 + (settings / freedom - 1 / (settings * freedom)) / (3 * (settings - 1))
    return float(special.chdtrc(settings - 1, total / correction))


def _deviations(
    rng: np.random.Generator, settings: int, seeds: int, between: float, own: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return draws of the deviation between settings and of the error of its own, from their joint posterior.

    Args:
        rng: Draws them.
        settings: Number of settings.
        seeds: Number of seeds.
        between: Sum of squares between settings.
        own: Sum of squares of settings by seeds.
    """
    freedom = (settings - 1) * (seeds - 1)
    shares = (np.arange(_ROWS) + 0.5) / _ROWS
    variance = (
        own / special.chdtri(freedom, shares)[:, None]
    )  # equally probable, given its own sum of squares
    angle = (np.arange(_COLUMNS) + 0.5) / _COLUMNS * math.pi / 2
    scale = math.sqrt(max(between / (settings - 1), own / freedom) / seeds)
    tau = scale * np.tan(angle)
    total = seeds * tau**2 + variance
    density = -(settings - 1) / 2 * np.log(total) - between / (2 * total) - 2 * np.log(np.cos(angle))
    weight = np.exp(density - density.max()).ravel()
    places = rng.choice(weight.size, _DRAWS, p=weight / weight.sum())
    return tau[places % _COLUMNS], np.sqrt(variance[places // _COLUMNS, 0])


def _posterior(draws_D: np.ndarray, margin: float | None) -> Posterior:
    low, middle, high = np.quantile(draws_D, (0.025, 0.5, 0.975))
    within = None if margin is None else float((np.abs(draws_D) <= margin).mean())
    return Posterior(float(middle), float(low), float(high), float((draws_D > 0).mean()), within)
