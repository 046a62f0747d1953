import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2rw_ray.statistics import mean_interval
from l2rw_ray.statistics.intervals import half_width


def test_matches_a_textbook_example():
    interval = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert interval.mean == 3
    assert interval.high - 3 == pytest.approx(2.776445 * math.sqrt(2.5) / math.sqrt(5), rel=1e-6)
    assert interval.n == 5


def test_one_seed_concludes_nothing():
    interval = mean_interval([0.7])
    assert (interval.mean, interval.n, interval.is_conclusive) == (0.7, 1, False)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert not interval.excludes_zero


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_what_is_not_finite_is_refused(values):
    with pytest.raises(ValueError, match=r"finite|no values"):
        mean_interval(values)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_confidence_is_a_fraction(confidence):
    with pytest.raises(ValueError, match="confidence"):
        mean_interval([1.0, 2.0], confidence)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8), st.floats(-10, 10))
def test_shifting_the_values_shifts_the_interval(values, shift):
    here, there = mean_interval(values), mean_interval([value + shift for value in values])
    assert there.low == pytest.approx(here.low + shift, abs=1e-6)
    assert there.high == pytest.approx(here.high + shift, abs=1e-6)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_covers_the_mean_as_often_as_it_says(confidence):
    samples = np.random.default_rng(0).normal(1.0, 2.0, size=(4000, 5))
    width = half_width(1.0, 5, confidence) * samples.std(axis=1, ddof=1)
    covered = float((np.abs(samples.mean(axis=1) - 1.0) <= width).mean())
    assert covered == pytest.approx(confidence, abs=0.02)
    first = mean_interval(samples[0], confidence)
    assert first.high - first.mean == pytest.approx(width[0])


def test_the_normal_quantile_would_cover_too_rarely():
    samples = np.random.default_rng(0).normal(size=(4000, 5))
    width = 1.96 * samples.std(axis=1, ddof=1) / math.sqrt(5)
    assert float((np.abs(samples.mean(axis=1)) <= width).mean()) < 0.91


def test_limits_beyond_what_there_can_be_are_cut_off():
    interval = mean_interval([0.99, 0.9, 1.0])
    assert interval.high > 1
    clipped = interval.clipped(0, 1)
    assert (clipped.mean, clipped.low, clipped.high, clipped.n) == (interval.mean, interval.low, 1, 3)
    assert math.isnan(mean_interval([0.5]).clipped(0, 1).high)
    percent = mean_interval([94.1, 93.8, 94.4])
    assert percent.clipped(0, 1) == percent  # no share, though it was declared as one


def test_cutting_off_costs_no_coverage():
    """Both cover skewed shares near 1 too rarely; logits would more often, as the docstring tells."""
    shares = np.random.default_rng(3).beta(19, 1, size=(3000, 5))
    truth, covered, clipped, on_logits = 0.95, 0, 0, 0
    for sample in shares:
        interval = mean_interval(sample)
        covered += interval.low <= truth <= interval.high
        clipped += interval.clipped(0, 1).low <= truth <= interval.clipped(0, 1).high
        logits = mean_interval(np.log(sample / (1 - sample)))
        on_logits += logits.low <= math.log(truth / (1 - truth)) <= logits.high
    assert clipped == covered
    assert covered / 3000 == pytest.approx(0.90, abs=0.02)
    assert on_logits / 3000 == pytest.approx(0.94, abs=0.02)
