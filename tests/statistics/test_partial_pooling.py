"""Partial pooling: against its limits, and its calibration by simulation."""

import numpy as np
import pytest

from l2rw_ray.statistics import mean_interval
from l2rw_ray.statistics.partial_pooling import partial_pooling


def draw(rng, deviation, settings=5, seeds=5, ratio=1.0):
    """Return the true difference at each setting, and values that hold errors of two kinds.

    Own errors are so many times as large at the last setting as at the first.
    """
    true_J = 1 + deviation * rng.normal(size=settings)
    sizes_J = np.geomspace(1, ratio, settings) / np.sqrt(ratio)
    error_JS = 0.5 * rng.normal(size=seeds) + sizes_J[:, None] * rng.normal(size=(settings, seeds))
    return true_J, true_J[:, None] + error_JS


def test_settings_far_apart_stay_where_they_are():
    rng = np.random.default_rng(0)
    values = np.array([-10.0, 0.0, 5.0, 20.0])[:, None] + 0.01 * rng.normal(size=(4, 6))
    found = partial_pooling(values)
    assert [own.middle for own in found.settings] == pytest.approx(values.mean(axis=1), abs=0.02)
    assert found.another.high - found.another.low > 20


def test_far_apart_each_has_its_own_t_interval_whatever_its_errors():
    sizes = np.array([0.1, 1.0, 5.0])
    values = np.array([-100.0, 0.0, 200.0])[:, None] + sizes[:, None] * np.random.default_rng(5).normal(
        size=(3, 20)
    )
    for own, drawn in zip(map(mean_interval, values), partial_pooling(values).settings, strict=True):
        assert drawn.middle == pytest.approx(own.mean, abs=0.1 * (own.high - own.low))
        assert drawn.high - drawn.low == pytest.approx(own.high - own.low, rel=0.2)


def test_the_noisiest_setting_is_drawn_furthest():
    _, values = draw(np.random.default_rng(7), 0.3, seeds=8, ratio=20.0)
    values[-1] += 3 - values[-1].mean()
    found = partial_pooling(values)
    moved = np.abs([own.middle for own in found.settings] - values.mean(axis=1))
    assert moved.argmax() == 4
    assert moved[:3].max() < 0.3 < moved[4]


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
    values = rng.normal(size=(4, 5))
    assert partial_pooling(values) is not None
    values[1] = 0.3
    assert partial_pooling(values) is None, "the error at a setting where no seed differs is unknown"
    assert partial_pooling(np.tile(rng.normal(size=5), (4, 1))) is None


@pytest.mark.parametrize(("deviation", "ratio"), [(0.0, 1.0), (1.0, 6.0)])
def test_limits_hold_the_truth_even_of_the_setting_that_looks_best(deviation, ratio):
    """More repeats are in `benchmarks/statistics_calibration.py --only hierarchical`."""
    rng, missed, alone = np.random.default_rng(4), np.zeros(4), 0
    for _ in range(12):
        true_J, values = draw(rng, deviation, ratio=ratio)
        found, best = partial_pooling(values), int(values.mean(axis=1).argmax())
        another = 1 + deviation * rng.normal()
        settings = [(found.settings[place], true_J[place]) for place in (best, -1)]
        pairs = [*settings, (found.average, 1.0), (found.another, another)]
        missed += [not own.low <= true <= own.high for own, true in pairs]
        single = mean_interval(values[best])
        alone += not single.low <= true_J[best] <= single.high
    assert (missed <= 2).all()
    assert missed[0] <= alone


def test_rounding_is_no_variation():
    values = np.array([[(0.1 * k + 0.3) - (0.1 * k + 0.2) for k in range(j, j + 4)] for j in range(4)])
    assert np.ptp(values) > 0
    assert partial_pooling(values) is None
