import math

import numpy as np
import pytest

from l2rw_ray.statistics import hedges_g


def test_is_cohens_d_times_the_usual_correction():
    sample = np.array([0.1, 0.3, 0.2, 0.25, 0.0])
    expected = sample.mean() / sample.std(ddof=1) * (1 - 3 / (4 * 4 - 1))
    assert hedges_g(sample) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("sample", [[], [0.1], [0.1, 0.2], [0.1, 0.1, 0.1], [0.0, 0.0, 0.0]])
def test_too_few_seeds_or_no_variation_have_none(sample):
    assert hedges_g(sample) is None


@pytest.mark.parametrize("seeds", [4, 6, 12])
def test_is_right_on_average_where_cohens_d_is_too_large(seeds):
    samples = np.random.default_rng(seeds).normal(0.8, 1, (6000, seeds))
    corrected = np.mean([hedges_g(sample) for sample in samples])
    plain = (samples.mean(axis=1) / samples.std(axis=1, ddof=1)).mean()
    assert corrected == pytest.approx(0.8, abs=0.06)
    assert plain > 0.84


def test_unit_and_sign():
    sample = [0.1, 0.4, 0.3]
    assert hedges_g([-100 * value for value in sample]) == pytest.approx(-hedges_g(sample))
    assert math.isfinite(hedges_g([1.0, 1.0, 1.1]))
