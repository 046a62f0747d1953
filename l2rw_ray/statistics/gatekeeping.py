"""One error rate over ordered families of tests: later ones are tested with what earlier ones have earned."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def graphical_p_values(
    p_values: Sequence[float | None], weights: Sequence[float], passed: Array
) -> list[float | None]:
    """Return p values corrected by a sequentially rejective graph.

    Each hypothesis has a share of the level. One that is rejected passes its share on along the arrows of the
    graph. Controls the probability of rejecting any true null hypothesis, whatever the dependence between
    tests (Bretz, Maurer, Brannath & Posch 2009, algorithms 1 and 2). Holm's method is the graph of equal
    shares in which each passes to all others alike.

    Args:
        p_values: One per hypothesis; None for one that is not tested, which passes its share on.
        weights: Share of the level of each [H], 0 or more, at most 1 in sum.
        passed: Share that each passes on to each other [H, H]; rows sum to at most 1, the diagonal is 0.

    Returns:
        The corrected p values in the same order, at most 1; None where there is none.
    """
    w_H, g_HH = np.array(weights, dtype=np.float64), np.array(passed, dtype=np.float64)
    left = np.ones(len(p_values), dtype=bool)
    for place, p in enumerate(p_values):
        if p is None:
            w_H, g_HH = _without(place, w_H, g_HH)
            left[place] = False
    found: list[float | None] = [None if p is None else 1.0 for p in p_values]
    p_H, largest = np.array([1.0 if p is None else p for p in p_values]), 0.0
    while left.any():
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio_H = np.where(left & (w_H > 0), p_H / w_H, np.inf)
        place = int(ratio_H.argmin())
        if ratio_H[place] > 1:
            break
        largest = max(largest, float(ratio_H[place]))
        found[place] = largest
        w_H, g_HH = _without(place, w_H, g_HH)
        left[place] = False
    return found


def _without(place: int, w_H: Array, g_HH: Array) -> tuple[Array, Array]:
    """Return weights and arrows after one hypothesis has passed its share on."""
    out_H, in_H = g_HH[place].copy(), g_HH[:, place].copy()
    w_H = w_H + w_H[place] * out_H
    back_H = 1 - in_H * out_H
    with np.errstate(divide="ignore", invalid="ignore"):
        g_HH = np.where(back_H[:, None] > 1e-12, (g_HH + np.outer(in_H, out_H)) / back_H[:, None], 0.0)
    np.fill_diagonal(g_HH, 0.0)
    w_H[place], g_HH[place], g_HH[:, place] = 0.0, 0.0, 0.0
    return w_H, g_HH
