"""The error of a test set that all seeds share: worked by hand, and by simulation."""

import math

import numpy as np
import pytest
from scipy import special

from l2rw_ray.statistics import Difference, mean_interval
from l2rw_ray.statistics.example_sampling import (
    ExampleError,
    example_variance,
    half_width_with_examples,
    p_with_examples,
)
from l2rw_ray.statistics.significance import paired_t_test


def test_examples_that_all_seeds_agree_on_have_the_variance_of_a_proportion():
    right_N = np.array([1.0] * 30 + [0.0] * 10)
    influence_SN = np.tile(right_N - right_N.mean(), (5, 1))
    assert example_variance(influence_SN) == pytest.approx(right_N.var(ddof=1) / 40)


def test_what_varies_from_seed_to_seed_is_not_counted_twice():
    rng = np.random.default_rng(0)
    noise_SN = rng.normal(size=(6, 4000))
    noise_SN -= noise_SN.mean(axis=1, keepdims=True)
    assert example_variance(noise_SN) < 0.2 * float(np.square(noise_SN.mean(axis=0)).mean()) / 4000


def test_one_seed_or_one_example_has_no_such_variance():
    assert example_variance(np.zeros((1, 5))) == example_variance(np.zeros((5, 1))) == 0


def test_the_interval_of_both_is_never_narrower():
    assert half_width_with_examples(3.0, 0.0, 0.95) == 3
    assert half_width_with_examples(0.0, 4.0, 0.95) == pytest.approx(2 * 1.959964, rel=1e-6)
    values = (0.1, 0.3, 0.2)
    assert mean_interval(values, 0.95, 0.01).low < mean_interval(values).low


@pytest.mark.parametrize(("mean", "error", "seeds"), [(0.5, 0.2, 5), (0.01, 0.2, 3), (1.4, 0.1, 15)])
def test_p_is_the_level_whose_interval_ends_at_zero(mean, error, seeds):
    p = p_with_examples(mean, error, seeds, 0.01)
    quantile = -float(special.stdtrit(seeds - 1, p / 2))
    assert half_width_with_examples(quantile * error, 0.01, 1 - p) == pytest.approx(mean, rel=1e-6)


def test_p_of_a_mean_of_zero_and_of_a_huge_one():
    assert p_with_examples(0.0, 0.2, 3, 0.01) == pytest.approx(1)
    assert 0 < p_with_examples(1e6, 1.0, 15, 0.01) < 1e-50


def test_p_agrees_with_the_t_test_where_examples_add_next_to_nothing():
    values = (0.1, 0.3, 0.2, 0.05)
    assert paired_t_test(values, 1e-14) == pytest.approx(paired_t_test(values), rel=1e-6)
    assert paired_t_test(values, 0.02) > paired_t_test(values)


def test_p_and_interval_agree_on_zero():
    rng = np.random.default_rng(1)
    for _ in range(50):
        values, variance = tuple(rng.normal(0.5, 0.5, 4).tolist()), float(rng.uniform(0, 0.1))
        interval = mean_interval(values, 0.95, variance)
        assert interval.excludes_zero == (paired_t_test(values, variance) < 0.05)


def test_a_difference_takes_the_error_into_its_interval():
    values = (0.1, 0.3, 0.2)
    found = Difference(mean_interval(values), 0, values).with_example_error(ExampleError(0.01, 200))
    assert found.interval == mean_interval(values, 0.95, 0.01)
    assert found.example_variance == 0.01
    assert Difference(None, 0).example_variance == 0


def test_coverage_on_a_shared_test_set_of_200():
    """Two methods that are equally good on all examples, but not on each: the t interval misses too often."""
    rng, repeats, seeds, examples = np.random.default_rng(0), 400, 5, 200
    alone = both = 0
    for _ in range(repeats):
        chance_2N = rng.beta(1.2, 0.3, (2, 1, examples))  # of a right answer: each method has its own
        right_2SN = rng.random((2, seeds, examples)) < chance_2N
        difference_SN = right_2SN[0].astype(float) - right_2SN[1]
        values = difference_SN.mean(axis=1)
        variance = example_variance(difference_SN - values[:, None])
        alone += not mean_interval(values).excludes_zero
        both += not mean_interval(values, 0.95, variance).excludes_zero
    assert alone / repeats < 0.8
    assert both / repeats > 0.95 - 3 * math.sqrt(0.95 * 0.05 / repeats)
