"""How many bits numeric columns need: a time in seconds since 1970 loses its minutes in 32.

Shape suffixes: N rows, F columns.
"""

import numpy as np

from l2rw_ray.data.tables.bad_rows import Array

_TOLERANCE = 1e-3
"""Rounding in units of a column's deviation beyond which what is to be learned from it suffers."""


def narrowed(columns_NF: Array) -> Array:
    """Return columns as float32, or as they are where that would round one by a part of its deviation.

    Args:
        columns_NF: Numbers, float64; NaN and infinite ones do not count.

    Returns:
        float32 or float64 [N, F].
    """
    narrow_NF = columns_NF.astype(np.float32)
    for place in range(columns_NF.shape[1]):
        known = np.isfinite(columns_NF[:, place])
        wide = columns_NF[known, place]
        is_constant = not len(wide) or wide.min() == wide.max()
        if not is_constant and np.abs(narrow_NF[known, place] - wide).max() > _TOLERANCE * wide.std():
            return columns_NF
    return narrow_NF
