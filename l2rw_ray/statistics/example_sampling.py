"""The error that the choice of test examples adds to a mean over seeds which all share one test set.

Shape suffixes: S seeds, N test examples.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

_LEAST_P = 1e-300
_BISECTIONS = 200


@dataclass(frozen=True, slots=True)
class ExampleError:
    """What the choice of test examples adds to the variance of a mean over seeds.

    Attributes:
        variance: Its variance beyond that between seeds, in the squared unit of the mean.
        examples: Number of test examples.
    """

    variance: float
    examples: int


def example_variance(influence_SN: np.ndarray) -> float:
    """Return the variance that the choice of test examples adds to a mean over seeds.

    Captures what all seeds have in common because they are tested on the same examples: a second test set of
    the same size would move them together. What varies from seed to seed at an example is in the variance
    between seeds already and is subtracted, as in an analysis of variance of seeds by examples. It is the
    limit of a bootstrap that resamples seeds and examples, for a metric that is nearly linear in its
    examples; few test examples of a class make the estimate rough.

    Args:
        influence_SN: How much each example moves the metric of each seed, times N: each row has a mean of
            zero. Of an accuracy it is 1 or 0 minus the accuracy.

    Returns:
        The variance, not below zero; 0 with fewer than two seeds or examples.
    """
    seeds, examples = influence_SN.shape
    if seeds < 2 or examples < 2:
        return 0.0
    mean_N = influence_SN.mean(axis=0)
    freedom = (seeds - 1) * (examples - 1)
    own = float(np.square(influence_SN - mean_N).sum()) / freedom
    shared = float(np.square(mean_N).sum()) / (examples - 1) - own / seeds
    return float(max(0.0, shared) / examples)


def half_width_with_examples(seed_half: float, variance: float, confidence: float) -> float:
    """Return half the width of an interval over seeds and test examples.

    The two parts are independent, so their half-widths add in squares. Never narrower than that over seeds.

    Args:
        seed_half: Half the width of the t interval over seeds.
        variance: What the test examples add to the variance.
        confidence: Nominal coverage, between 0 and 1.
    """
    quantile = float(special.ndtri((1 + confidence) / 2))
    return float(math.hypot(seed_half, quantile * math.sqrt(variance)))


def p_with_examples(mean: float, error: float, seeds: int, variance: float) -> float:
    """Return the two-sided p value of a mean of zero: the level whose interval over both ends at zero.

    Args:
        mean: Mean over seeds.
        error: Its standard error over seeds.
        seeds: Number of seeds, two or more.
        variance: What the test examples add to the variance, above 0.
    """
    low, high = _LEAST_P, 1.0
    for _ in range(_BISECTIONS):  # on the logarithm: p values span hundreds of orders
        p = math.sqrt(low * high)
        over_seeds = float(special.stdtrit(seeds - 1, p / 2)) * error
        half = math.hypot(over_seeds, float(special.ndtri(p / 2)) * math.sqrt(variance))
        low, high = (p, high) if half > abs(mean) else (low, p)
        if high <= low * (1 + 1e-12):
            break
    return high
