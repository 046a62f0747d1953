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
    return columns_NF if any(map(needs_float64, columns_NF.T)) else columns_NF.astype(np.float32)


def needs_float64(column_N: Array) -> bool:
    """Return whether float32 would round a column by a part of its deviation.

    A constant one has deviation 1, as where it is standardised: as a test table's, or after a part of the
    rows, it is standardised by the deviation of others.

    Args:
        column_N: Numbers, float64; NaN and infinite ones do not count.
    """
    wide = column_N[np.isfinite(column_N)]
    if not len(wide):
        return False
    deviation = wide.std() if wide.min() < wide.max() else 1.0
    return bool(np.abs(wide.astype(np.float32) - wide).max() > _TOLERANCE * deviation)
