"""Resampling seeds covers less than it says with few of them; how much less is what the docstring tells."""

import numpy as np
import pytest
from scipy import stats

from l2rw_ray.statistics.aggregates import interquartile_mean, interquartile_mean_interval
from l2rw_ray.statistics.bootstrap import MIN_SEEDS, bootstrap_interval


def test_lies_within_the_differences_and_follows_the_generator():
    sample = np.random.default_rng(0).normal(1, 1, 8)
    first, again = (bootstrap_interval(sample, np.random.default_rng(1)) for _ in range(2))
    assert first == again
    assert sample.min() <= first.low < first.mean < first.high <= sample.max()
    assert first.n == 8


@pytest.mark.parametrize("seeds", range(MIN_SEEDS))
def test_too_few_seeds_have_none(seeds):
    assert bootstrap_interval(np.arange(float(seeds)), np.random.default_rng(0)) is None


def test_differences_that_do_not_vary_have_an_interval_without_width():
    found = bootstrap_interval([0.1] * 6, np.random.default_rng(0))
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))


def test_one_seed_that_differs_is_no_error():
    found = bootstrap_interval([0.0] * 7 + [1.0], np.random.default_rng(0))
    assert 0 <= found.low <= found.mean <= found.high <= 1


@pytest.mark.parametrize(("seeds", "coverage"), [(5, 0.84), (10, 0.90)])
def test_covers_as_often_as_the_docstring_says(seeds, coverage):
    rng = np.random.default_rng(seeds)
    samples = rng.normal(size=(400, seeds))
    found = [bootstrap_interval(sample, rng, resamples=499) for sample in samples]
    assert np.mean([each.low <= 0 <= each.high for each in found]) == pytest.approx(coverage, abs=0.05)


def test_the_interquartile_mean_leaves_out_both_quarters():
    assert interquartile_mean([[0, 1, 2, 3], [4, 5, 6, 700]]) == pytest.approx(3.5)


def test_the_interquartile_mean_covers_what_large_samples_tend_to():
    rng, seeds, centres = np.random.default_rng(3), 10, np.array([0.3, 0.5, 0.6, 0.9])
    truth = stats.trim_mean((centres[:, None] + rng.normal(0, 0.1, (4, 50_000))).ravel(), 0.25)
    covered = 0
    for tasks in centres[:, None] + rng.normal(0, 0.1, (300, 4, seeds)):
        interval = interquartile_mean_interval(list(tasks), rng, resamples=300)
        covered += interval.low <= truth <= interval.high
    assert covered / 300 == pytest.approx(0.93, abs=0.05)


def test_seeds_are_resampled_within_their_task():
    constant = [[0.2] * 5, [0.8] * 5]
    found = interquartile_mean_interval(constant, np.random.default_rng(0))
    assert (found.low, found.high) == pytest.approx((found.mean, found.mean))


def test_few_seeds_a_task_have_no_limits_and_none_is_refused():
    found = interquartile_mean_interval([[0.5], [0.7, 0.8]], np.random.default_rng(0))
    assert not found.is_conclusive
    assert found.n == 1
    few = interquartile_mean_interval([[0.5, 0.6, 0.4, 0.5], [0.7, 0.8, 0.7, 0.9]], np.random.default_rng(0))
    assert not few.is_conclusive
    assert few.n == 4
    with pytest.raises(ValueError, match="every task"):
        interquartile_mean_interval([[], [0.5]], np.random.default_rng(0))
