"""Partial pooling: against its limits, and its calibration by simulation."""

import numpy as np
import pytest
from scipy import stats

from l2rw_ray.statistics import mean_interval
from l2rw_ray.statistics.partial_pooling import equal_variances_p, partial_pooling


def draw(rng, deviation, settings=5, seeds=5):
    """Return the true difference at each setting, and values that hold errors of two kinds."""
    true_J = 1 + deviation * rng.normal(size=settings)
    error_JS = 0.5 * rng.normal(size=seeds) + rng.normal(size=(settings, seeds))
    return true_J, true_J[:, None] + error_JS


def test_settings_far_apart_stay_where_they_are():
    rng = np.random.default_rng(0)
    values = np.array([-10.0, 0.0, 5.0, 20.0])[:, None] + 0.01 * rng.normal(size=(4, 6))
    found = partial_pooling(values)
    assert [own.middle for own in found.settings] == pytest.approx(values.mean(axis=1), abs=0.02)
    assert found.another.high - found.another.low > 20


def test_settings_alike_are_drawn_to_their_mean():
    _, values = draw(np.random.default_rng(1), 0.0, settings=8, seeds=10)
    found = partial_pooling(values)
    middles = [own.middle for own in found.settings]
    assert np.ptp(middles) < 0.5 * np.ptp(values.mean(axis=1))
    assert found.average.middle == pytest.approx(values.mean(), abs=0.02)


def test_probabilities_turn_with_the_sign_and_know_the_margin():
    _, values = draw(np.random.default_rng(2), 0.3)
    found, turned = partial_pooling(values, margin=0.5), partial_pooling(-values, margin=0.5)
    assert turned.average.above == pytest.approx(1 - found.average.above, abs=0.02)
    assert turned.average.within == pytest.approx(found.average.within, abs=0.02)
    assert partial_pooling(values) == partial_pooling(values), "no draw of chance in a report"
    assert found.settings[0].within is not None


def test_too_little_says_nothing():
    rng = np.random.default_rng(3)
    assert partial_pooling(rng.normal(size=(2, 9))) is partial_pooling(rng.normal(size=(9, 2))) is None
    assert partial_pooling(np.ones((4, 4))) is None


@pytest.mark.parametrize("deviation", [0.0, 1.0])
def test_limits_hold_the_truth_even_of_the_setting_that_looks_best(deviation):
    rng, repeats, missed, alone = np.random.default_rng(4), 120, np.zeros(3), 0
    for _ in range(repeats):
        true_J, values = draw(rng, deviation)
        found, best = partial_pooling(values), int(values.mean(axis=1).argmax())
        another = 1 + deviation * rng.normal()
        pairs = [(found.settings[best], true_J[best]), (found.average, 1.0), (found.another, another)]
        missed += [not own.low <= true <= own.high for own, true in pairs]
        single = mean_interval(values[best])
        alone += not single.low <= true_J[best] <= single.high
    assert (missed / repeats < 0.09).all()
    assert missed[0] <= alone


def test_rounding_is_no_variation():
    values = np.array([[(0.1 * k + 0.3) - (0.1 * k + 0.2) for k in range(j, j + 4)] for j in range(4)])
    assert np.ptp(values) > 0
    assert partial_pooling(values) is None


def test_equal_variances_are_tested_as_by_scipy():
    rng = np.random.default_rng(5)
    for scale in (1.0, 3.0):
        values = rng.normal(size=(5, 6)) * np.linspace(1, scale, 5)[:, None]
        assert equal_variances_p(values) == pytest.approx(stats.bartlett(*values).pvalue)
    assert equal_variances_p(np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]])) == 0
