import numpy as np
import pytest
from scipy import stats

from l2rw_ray.statistics import detectable_difference, paired_deviation
from l2rw_ray.statistics.power import deviation_interval, deviation_to_plan_with, seeds_to_detect


def test_deviation_of_two_points_is_that_of_their_differences():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 8))
    points = [dict(enumerate(first)), dict(enumerate(second))]
    assert paired_deviation(points) == pytest.approx(np.std(first - second, ddof=1))


def test_effects_of_points_and_seeds_cancel_out():
    rng = np.random.default_rng(1)
    rest = rng.normal(0, 0.3, (5, 2000))
    figures = rest + rng.normal(0, 5, (5, 1)) + rng.normal(0, 5, 2000)
    assert paired_deviation([dict(enumerate(row)) for row in figures]) == pytest.approx(
        0.3 * 2**0.5, rel=0.02
    )


def test_points_that_share_no_two_seeds_say_nothing():
    assert paired_deviation([]) is None
    assert paired_deviation([{0: 1.0, 1: 2.0}]) is None
    assert paired_deviation([{0: 1.0, 1: 2.0}, {1: 1.0, 2: 2.0}]) is None
    assert paired_deviation([{0: 1.0, 1: 2.0}, {0: 1.0}]) is None


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 50])
def test_the_detectable_difference_is_found_four_times_of_five(seeds):
    rng = np.random.default_rng(seeds)
    difference = detectable_difference(2.0, seeds)
    samples = rng.normal(difference, 2.0, (20_000, seeds))
    found = stats.ttest_1samp(samples, 0.0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.015)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("difference", [0.3, -1.0, 4.0])
def test_seeds_are_the_fewest_that_detect_a_difference(difference, alpha):
    seeds = seeds_to_detect(difference, 1.0, alpha=alpha)
    assert detectable_difference(1.0, seeds, alpha=alpha) <= abs(difference)
    assert seeds == 2 or detectable_difference(1.0, seeds - 1, alpha=alpha) > abs(difference)


def test_no_number_of_seeds_detects_no_difference():
    assert seeds_to_detect(0.0, 1.0) is None
    assert seeds_to_detect(0.1, 1.0, most=500) is None


@pytest.mark.parametrize("seeds", [2, 3, 5, 15])
def test_the_deviation_to_plan_with_is_large_enough_four_times_of_five(seeds):
    rng = np.random.default_rng(seeds)
    limits = [deviation_to_plan_with(values) for values in rng.normal(5.0, 2.0, (4000, seeds)).tolist()]
    assert np.mean(np.array(limits) > 2.0) == pytest.approx(0.8, abs=0.02)


def test_limits_of_a_deviation_hold_it_as_often_as_they_say():
    samples = np.random.default_rng(2).normal(0, 2.0, (2000, 9))
    limits = np.array([deviation_interval(sample.tolist(), 0.8) for sample in samples])
    covered = (limits[:, 0] <= 2.0) & (limits[:, 1] >= 2.0)
    assert covered.mean() == pytest.approx(0.8, abs=0.03)
