"""Evidence on a paired difference besides its t interval: bootstrap, effect size and p values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l2rw_ray.statistics import Difference, Interval, hedges_g
from l2rw_ray.statistics.bootstrap import bootstrap_interval
from l2rw_ray.statistics.significance import holm, paired_t_test, sign_flip_test

_LEVEL = 0.05
_SEED = 0  # of all resampling, so that equal differences have equal limits


@dataclass(frozen=True)
class Evidence:
    """Evidence on one difference of a family.

    Attributes:
        bootstrap: BCa bootstrap interval over seeds; None with too few.
        effect_size: Hedges' g of paired differences; None with too few seeds.
        p: Two-sided p value of the paired t test; None with one seed, or without variation.
        p_sign_flip: Two-sided p value of the sign-flip permutation test.
        p_holm: The p value of the t test, corrected for the family by Holm's method.
        family: Number of differences in the family that have a p value.
    """

    bootstrap: Interval | None
    effect_size: float | None
    p: float | None
    p_sign_flip: float | None
    p_holm: float | None
    family: int

    @property
    def is_clear(self) -> bool:
        """Whether the difference is significant after correction for the family."""
        return self.p_holm is not None and self.p_holm < _LEVEL


def assess(differences: Sequence[Difference]) -> tuple[Evidence, ...]:
    """Return evidence on each difference of a family, in their order."""
    p_values = [paired_t_test(difference.values) for difference in differences]
    family = sum(p is not None for p in p_values)
    return tuple(
        Evidence(
            bootstrap=bootstrap_interval(difference.values, np.random.default_rng(_SEED)),
            effect_size=hedges_g(difference.values),
            p=p,
            p_sign_flip=sign_flip_test(difference.values, np.random.default_rng(_SEED)),
            p_holm=corrected,
            family=family,
        )
        for difference, p, corrected in zip(differences, p_values, holm(p_values), strict=True)
    )
