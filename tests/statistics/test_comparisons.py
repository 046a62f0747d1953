import numpy as np
import pytest

from l2rw_ray.statistics import mean_interval, paired_difference, pooled_paired_difference

SEEDS = range(5)


def test_pairs_by_seed_whatever_the_order():
    difference = paired_difference({1: 0.9, 0: 0.6}, {0: 0.5, 1: 0.8})
    assert difference.interval.mean == pytest.approx(0.1)
    assert difference.interval.high == pytest.approx(0.1)
    assert (difference.interval.n, difference.unpaired) == (2, 0)


def test_unpaired_seeds_are_dropped_and_counted():
    difference = paired_difference({0: 1.0, 1: 2.0, 2: 9.0}, {0: 0.0, 1: 1.0, 3: 9.0, 4: 9.0})
    assert (difference.interval.mean, difference.interval.n, difference.unpaired) == (1, 2, 3)


def test_no_shared_seed_gives_no_interval():
    difference = paired_difference({0: 1.0}, {1: 1.0})
    assert (difference.interval, difference.unpaired) == (None, 2)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="finite"):
        paired_difference({0: float("nan")}, {0: 1.0})


def test_pooling_averages_within_each_seed_first():
    levels = [({0: 1.0, 1: 3.0}, {0: 0.0, 1: 0.0}), ({0: 3.0, 1: 5.0}, {0: 0.0, 1: 0.0})]
    assert pooled_paired_difference(levels).interval == mean_interval([2.0, 4.0])


def test_pooling_drops_a_seed_that_misses_a_level():
    levels = [({0: 1.0, 1: 1.0}, {0: 0.0, 1: 0.0}), ({0: 1.0}, {0: 0.0, 1: 0.0})]
    difference = pooled_paired_difference(levels)
    assert (difference.interval.n, difference.unpaired) == (1, 1)


def test_a_comparison_of_nothing_is_refused():
    with pytest.raises(ValueError, match="level"):
        pooled_paired_difference([])


def test_covers_the_true_difference_where_seeds_and_levels_share_noise():
    repetitions, rng = 600, np.random.default_rng(1)
    seed_effect = rng.normal(0, 5, (repetitions, 1, len(SEEDS)))
    gain = 1.0 + rng.normal(0, 1, (repetitions, 1, len(SEEDS))) + rng.normal(0, 0.5, (repetitions, 3, 5))
    control = seed_effect + rng.normal(0, 0.01, (repetitions, 3, 5))
    treatment = control + gain
    covered = 0
    for t, c in zip(treatment.tolist(), control.tolist(), strict=True):
        levels = [(dict(enumerate(a)), dict(enumerate(b))) for a, b in zip(t, c, strict=True)]
        interval = pooled_paired_difference(levels).interval
        covered += interval.low <= 1.0 <= interval.high
    assert covered / repetitions == pytest.approx(0.95, abs=0.025)


def test_counting_levels_as_independent_would_cover_too_rarely():
    rng = np.random.default_rng(2)
    gain = rng.normal(0, 1, (1000, 1, 5)) + rng.normal(0, 0.5, (1000, 3, 5))
    flat = gain.reshape(1000, -1)
    interval = mean_interval(flat[0])
    width = (interval.high - interval.mean) / flat[0].std(ddof=1) * flat.std(axis=1, ddof=1)
    assert float((np.abs(flat.mean(axis=1)) <= width).mean()) < 0.85
