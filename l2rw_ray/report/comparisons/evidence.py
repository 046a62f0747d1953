"""How far a paired difference can be trusted, beside its t interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l2rw_ray.statistics import Difference, Interval, hedges_g
from l2rw_ray.statistics.bootstrap import bootstrap_interval
from l2rw_ray.statistics.significance import holm, paired_t_test, sign_flip_test

_LEVEL = 0.05
_SEED = 0  # of every resampling, so that equal differences always have the same limits


@dataclass(frozen=True)
class Evidence:
    """What else is known of one of a family of differences.

    Attributes:
        bootstrap: BCa bootstrap interval over seeds; None with too few.
        effect_size: Hedges' g of paired differences; None with too few seeds.
        p: Two-sided p of the paired t test; None with one seed, or of differences that do not vary.
        p_sign_flip: The same of the sign-flip permutation test.
        p_holm: The t test's, corrected for the family.
        family: How many differences the family has that could be tested.
    """

    bootstrap: Interval | None
    effect_size: float | None
    p: float | None
    p_sign_flip: float | None
    p_holm: float | None
    family: int

    @property
    def is_clear(self) -> bool:
        """Whether the difference is shown, the whole family considered."""
        return self.p_holm is not None and self.p_holm < _LEVEL


def assess(differences: Sequence[Difference]) -> tuple[Evidence, ...]:
    """Evidence on each of a family of differences, in their order."""
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
