import numpy as np
import pytest
from scipy import stats

from l2rw_ray.statistics.proportion import (
    exact_proportion_interval,
    largest_unseen_rate,
    proportion_interval,
)


@pytest.mark.parametrize(("found", "of"), [(0, 10), (1, 7), (60, 300), (300, 300)])
def test_limits_are_those_of_another_implementation(found, of) -> None:
    other = stats.binomtest(found, of).proportion_ci(method="wilson")
    assert proportion_interval(found, of) == pytest.approx((other.low, other.high), abs=1e-12)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_about_95_of_100_intervals_hold_the_share(share) -> None:
    found = np.random.default_rng(0).binomial(300, share, size=2000)
    limits = np.array([proportion_interval(int(number), 300) for number in found])
    covered = ((limits[:, 0] <= share) & (share <= limits[:, 1])).mean()
    assert 0.93 < covered < 0.97


@pytest.mark.parametrize(("found", "of"), [(0, 5), (3, 15), (15, 15)])
def test_exact_limits_are_those_of_another_implementation(found, of) -> None:
    other = stats.binomtest(found, of).proportion_ci(method="exact")
    assert exact_proportion_interval(found, of) == pytest.approx((other.low, other.high), abs=1e-12)


def test_what_may_go_unseen() -> None:
    assert largest_unseen_rate(5) == pytest.approx(0.451, abs=0.001)
    assert (1 - largest_unseen_rate(15)) ** 15 == pytest.approx(0.05)
