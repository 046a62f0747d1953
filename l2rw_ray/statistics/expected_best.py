"""The expected best value of a search by its budget."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-9


def expected_best(values: Sequence[float], tried: int, *, less_is_better: bool = False) -> float:
    """Return the expected best of some of the configurations of a search, drawn in random order.

    Captures the luck of a search of this budget in this space, not that of another seed. It is unbiased for
    configurations that are drawn at random; a sampler that learns finds good ones later in its order than a
    random one, so for small budgets it is too high.

    Args:
        values: Validation metric of each configuration.
        tried: Number of configurations of the smaller search, 1 to the number of values.
        less_is_better: Whether smaller values are better.

    Raises:
        ValueError: More are tried than there are values.

    Source:
        Dodge et al. 2019, "Show Your Work: Improved Reporting of Experimental Results"; Tang et al. 2020 for
        the form without bias.
    """
    worst_first, shares = _chances_of_best(values, tried, less_is_better=less_is_better)
    return float(np.dot(shares, worst_first))


def best_quantile(
    values: Sequence[float], tried: int, share: float, *, less_is_better: bool = False
) -> float:
    """Return the best value that a share of the orders, in which a search may try its values, stays below.

    Captures the luck of the order alone: with all values tried there is one best, whatever the order.

    Args:
        values: Validation metric of each configuration.
        tried: Number of configurations of the smaller search, 1 to the number of values.
        share: Share of the orders whose best is this one or worse, above 0 and at most 1.
        less_is_better: Whether smaller values are better.

    Raises:
        ValueError: More are tried than there are values.
    """
    worst_first, shares = _chances_of_best(values, tried, less_is_better=less_is_better)
    place = int(np.searchsorted(np.cumsum(shares), share - _ROUNDING))
    return float(worst_first[min(place, len(values) - 1)])


def _chances_of_best(
    values: Sequence[float], tried: int, *, less_is_better: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the values, worst first, and the probability of each to be the best of those tried."""
    if not 1 <= tried <= len(values):
        raise ValueError(f"the best of {tried} among {len(values)} values is undefined")
    worst_first = np.sort(np.asarray(values, dtype=np.float64))
    ways = math.comb(len(values), tried)
    shares = [math.comb(place, tried - 1) / ways for place in range(len(values))]
    return worst_first[::-1] if less_is_better else worst_first, np.array(shares)


def budgets(most: int) -> tuple[int, ...]:
    """Return budgets to show: 1, 2, 4, … and the whole."""
    doubled = [2**power for power in range(most.bit_length()) if 2**power < most]
    return (*doubled, most)
