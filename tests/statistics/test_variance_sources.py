"""Variances of sources that are drawn anew one at a time: worked by hand, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from l2rw_ray.statistics.variance_sources import (
    largest_source,
    nested_variances,
    redrawn_variance,
    variance_between,
)


def test_half_the_mean_square_of_the_change():
    found = redrawn_variance({0: 1.0, 1: 2.0, 2: 5.0}, {0: 3.0, 1: 2.0, 7: 1.0})
    assert (found.value, found.freedom) == (1.0, 2)
    assert found.high == pytest.approx(2 / stats.chi2.ppf(0.025, 2))
    assert found.low == pytest.approx(2 / stats.chi2.ppf(0.975, 2))


def test_the_variance_between_seeds_is_that_of_the_sample():
    found = variance_between({0: 1.0, 1: 2.0, 2: 6.0})
    assert (found.value, found.freedom) == (7.0, 2)
    assert variance_between({0: 1.0}) is redrawn_variance({0: 1.0}, {0: 2.0}) is None


def test_sources_are_told_apart_and_limits_hold_the_truth():
    rng, true = np.random.default_rng(0), {"split": 4.0, "init": 1.0, "order": 0.25}
    names, repeats, seeds = list(true), 300, 12
    covered, right = dict.fromkeys(names, 0), 0
    for _ in range(repeats):
        drawn = {name: rng.normal(0, np.sqrt(true[name]), (2, seeds)) for name in names}
        values = dict(enumerate(sum(drawn[name][0] for name in names)))
        found = {}
        for name in names:
            other = {**{each: drawn[each][0] for each in names}, name: drawn[name][1]}
            found[name] = redrawn_variance(values, dict(enumerate(sum(other.values()))))
            covered[name] += found[name].low <= true[name] <= found[name].high
        largest = largest_source(found)
        assert largest in (None, "split")
        right += largest == "split"
    assert all(0.91 < count / repeats < 0.99 for count in covered.values())
    assert right / repeats > 0.4


def test_equal_sources_are_left_open():
    rng, named = np.random.default_rng(1), 0
    for _ in range(300):
        first, second, third = rng.normal(size=(3, 2, 8))
        values = dict(enumerate(first[0] + second[0] + third[0]))
        found = {
            "split": redrawn_variance(values, dict(enumerate(first[1] + second[0] + third[0]))),
            "init": redrawn_variance(values, dict(enumerate(first[0] + second[1] + third[0]))),
        }
        named += largest_source(found) is not None
    assert named / 300 < 0.08
    assert largest_source({"split": found["split"]}) is None


def test_nested_variances_are_those_of_the_analysis_of_variance():
    pairs = [(1.0, 3.0), (4.0, 4.0), (9.0, 5.0)]
    found = nested_variances(pairs)
    within = (2.0 + 0.0 + 8.0) / 3
    between = 2 * np.var([2.0, 4.0, 7.0], ddof=1)
    assert found.within.value == pytest.approx(within)
    assert found.groups.value == pytest.approx((between - within) / 2)
    assert found.groups.low == 0.0
    assert nested_variances(pairs[:1]) is nested_variances([(1.0, 1.0), (2.0, 2.0)]) is None


def test_groups_that_differ_less_than_their_values_leave_room_for_a_variance():
    """The estimate is 0, but ten groups cannot show that nothing varies between them."""
    noise = np.random.default_rng(0).normal(size=10)
    close = [(0.01 * own - 1, 0.01 * own + 1) for own in noise]
    equal = [(own - 1, own + 1) for own in noise / noise.std(ddof=1)]  # both mean squares are 2
    limits = nested_variances(close).groups, nested_variances(equal).groups
    assert (limits[0].value, limits[0].low) == (0.0, 0.0)
    assert limits[0].high == pytest.approx(limits[1].high) == pytest.approx(2 * 2.35 / 2, abs=0.01)


@pytest.mark.parametrize("deviation", [0.0, 1.0, 2.0])
def test_limits_of_nested_variances_hold_the_truth(deviation):
    rng, repeats, missed, unequal = np.random.default_rng(0), 600, np.zeros(2), 0
    for _ in range(repeats):
        values = deviation * rng.normal(size=(10, 1)) + rng.normal(size=(10, 2))
        found = nested_variances(values.tolist())
        missed += [
            not own.low <= true**2 <= own.high for own, true in ((found.groups, deviation), (found.within, 1))
        ]
        unequal += found.p < 0.05
    assert (missed / repeats < 0.08).all()
    if deviation == 1.0:
        assert 0.03 < unequal / repeats < 0.07
