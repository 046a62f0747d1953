"""Effect size: a paired difference relative to its variation between seeds."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from l2rw_ray.statistics.intervals import is_constant

_FEWEST = 3
"""With two seeds the correction is zero: there is no unbiased estimate."""


def hedges_g(differences: Sequence[float]) -> float | None:
    """Return Cohen's d of paired differences (d_z) with Hedges' exact correction for few seeds.

    This is the mean difference in units of its standard deviation between seeds: how reliably a treatment
    beats its control on the same split, corruption and initial weights. With d = 1 about five of six seeds
    gain. It is a point estimate without uncertainty, and not comparable with d of unpaired values, whose
    deviation includes the variation that paired seeds share.

    Args:
        differences: Treatment minus control, one per seed.

    Returns:
        The effect size; None with fewer than three seeds or where the differences do not vary.
    """
    sample = np.asarray(differences, dtype=np.float64)
    deviation = float(sample.std(ddof=1)) if sample.size >= _FEWEST else 0.0
    if deviation == 0 or is_constant(differences):
        return None
    return _correction(sample.size - 1) * float(sample.mean()) / deviation


def _correction(freedom: int) -> float:
    """Return Hedges' J, the factor that removes the bias of d."""
    log_ratio = special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)
    return math.exp(log_ratio) / math.sqrt(freedom / 2)
