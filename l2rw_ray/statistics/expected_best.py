"""The expected best value of a search by its budget."""

import math
from collections.abc import Sequence

import numpy as np


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
    if not 1 <= tried <= len(values):
        raise ValueError(f"the best of {tried} among {len(values)} values is undefined")
    worst_first = np.sort(np.asarray(values, dtype=np.float64))
    if less_is_better:
        worst_first = worst_first[::-1]
    shares = [math.comb(place, tried - 1) / math.comb(len(values), tried) for place in range(len(values))]
    return float(np.dot(shares, worst_first))


def budgets(most: int) -> tuple[int, ...]:
    """Return budgets to show: 1, 2, 4, … and the whole."""
    doubled = [2**power for power in range(most.bit_length()) if 2**power < most]
    return (*doubled, most)
