"""Evidence on a paired difference besides its t interval: bootstrap, effect size and p values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l2rw_ray.statistics import Difference, Interval, hedges_g
from l2rw_ray.statistics.bootstrap import bootstrap_interval
from l2rw_ray.statistics.significance import holm, paired_t_test, sign_flip_test, signed_rank_test

_LEVEL = 0.05
_SEED = 0  # of all resampling, so that equal differences have equal limits


@dataclass(frozen=True)
class Evidence:
    """Evidence on one difference of a family.

    Attributes:
        bootstrap: BCa bootstrap interval over seeds; None with too few.
        effect_size: Hedges' g of paired differences; None with too few seeds.
        p: Two-sided p value of the paired t test, or of the signed-rank test where a run diverged and the
            metric has no chance level; None with one seed, or without variation.
        p_sign_flip: Two-sided p value of the sign-flip permutation test.
        p_corrected: The p value corrected for the other tests: of the family by Holm's method, or of the
            whole report in its order.
        family: Number of tests that it is corrected for.
    """

    bootstrap: Interval | None
    effect_size: float | None
    p: float | None
    p_sign_flip: float | None
    p_corrected: float | None
    family: int

    @property
    def is_clear(self) -> bool:
        """Whether the difference is significant after correction for the family."""
        return self.p_corrected is not None and self.p_corrected < _LEVEL


def assess(differences: Sequence[Difference]) -> tuple[Evidence, ...]:
    """Return evidence on each difference of a family, in their order."""
    p_values = [_p_value(difference) for difference in differences]
    family = sum(p is not None for p in p_values)
    return tuple(
        Evidence(
            bootstrap=bootstrap_interval(difference.values, _rng()),
            effect_size=hedges_g(difference.values),
            p=p,
            p_sign_flip=None if difference.ranked else sign_flip_test(difference.values, _rng()),
            p_corrected=corrected,
            family=family,
        )
        for difference, p, corrected in zip(differences, p_values, holm(p_values), strict=True)
    )


def _p_value(difference: Difference) -> float | None:
    """Return p of the t test, or of the signed-rank test where runs diverged and have no worst value."""
    if difference.ranked:
        return signed_rank_test(difference.ranked, _rng())
    return paired_t_test(difference.values, difference.example_variance)


def _rng() -> np.random.Generator:
    return np.random.default_rng(_SEED)
