"""The error of differences that the choice of test examples makes, where all seeds share them.

Shape suffixes: S seeds, N test examples.
"""

from collections.abc import Hashable, Sequence
from typing import Protocol

import numpy as np

from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.statistics import Difference
from l2rw_ray.statistics.example_sampling import ExampleError, example_variance


class Compared(Protocol):
    """Two design points that are compared."""

    @property
    def treatment(self) -> DesignPoint:
        """The point that is compared."""

    @property
    def control(self) -> DesignPoint:
        """The point it is compared with."""


Term = tuple[float, Compared]
"""A pair of design points, and the factor of its difference in a sum."""


def averaged(pairs: Sequence[Compared], sign: int = 1) -> list[Term]:
    """Return the terms of the mean difference of some pairs, or of its negative."""
    return [(sign / len(pairs), pair) for pair in pairs]


def with_example_error(difference: Difference, terms: Sequence[Term], metric: str) -> Difference:
    """Return a difference with an interval over seeds and test examples.

    Unchanged where that is not known: of older ledgers, of a metric such as that of the worst class, and
    where test sets differ between seeds, whose choice is then in the interval over seeds already.

    Args:
        difference: The difference over seeds, a sum of differences of pairs.
        terms: The pairs, with their factors in the sum.
        metric: Name of the metric.
    """
    if difference.interval is None or difference.interval.n < 2 or difference.ranked:
        return difference
    samples = [point.by_seed[metric] for _, pair in terms for point in (pair.treatment, pair.control)]
    seeds = sorted(set(samples[0]).intersection(*samples[1:]))
    sums: dict[Hashable, np.ndarray] = {}
    for factor, pair in terms:
        found = _influence(pair, seeds, metric)
        if found is None:
            return difference
        test_set, influence_SN = found
        sums[test_set] = sums.get(test_set, 0.0) + factor * influence_SN
    variance = sum(example_variance(influence_SN) for influence_SN in sums.values())
    examples = sum(influence_SN.shape[1] for influence_SN in sums.values())
    return difference.with_example_error(ExampleError(variance, examples))


def _influence(pair: Compared, seeds: Sequence[int], metric: str) -> tuple[Hashable, np.ndarray] | None:
    """Return the test set of a pair and what each example adds to its difference, [S, N]; None if unknown.

    A run that diverged counts as chance level whatever the examples, so that they add nothing.
    """
    known = [
        found
        for point in (pair.treatment, pair.control)
        for seed in seeds
        if (found := point.tested.get(seed)) is not None
    ]
    test_sets = {found.test_set for found in known}
    if len(test_sets) != 1:
        return None
    total_SN = np.zeros((len(seeds), known[0].examples))
    for sign, point in ((1, pair.treatment), (-1, pair.control)):
        for place, seed in enumerate(seeds):
            if seed in point.diverged:
                continue
            found = point.tested.get(seed)
            influence_N = None if found is None else found.influence(metric)
            if influence_N is None:
                return None
            total_SN[place] += sign * influence_N
    return test_sets.pop(), total_SN
