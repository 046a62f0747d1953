import math

import numpy as np
import pytest

from l2rw_ray.statistics import (
    difference_of_differences,
    mean_interval,
    paired_difference,
    pooled_paired_difference,
)
from l2rw_ray.statistics.comparisons import ranked_paired_difference

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


def test_an_interaction_is_the_difference_of_the_gains_by_seed():
    here = [({0: 3.0, 1: 5.0, 2: 9.0}, {0: 1.0, 1: 1.0, 2: 1.0})]
    there = [({0: 1.0, 1: 2.0}, {0: 1.0, 1: 1.0}), ({0: 1.0, 1: 2.0}, {0: 1.0, 1: 1.0})]
    found = difference_of_differences(here, there)
    assert found.values == (2.0, 3.0)
    assert found.interval == mean_interval([2.0, 3.0])
    assert found.unpaired == 1
    assert difference_of_differences([({0: 1.0}, {0: 0.0})], [({1: 1.0}, {1: 0.0})]).interval is None


def test_an_interaction_of_nothing_is_refused():
    with pytest.raises(ValueError, match="both levels"):
        difference_of_differences([], [({0: 1.0}, {0: 0.0})])


def test_an_interaction_is_found_once_in_twenty_where_there_is_none_and_variances_differ():
    """Where deviations differ from level to level the F test of both factors errs far more often."""
    rng, repetitions = np.random.default_rng(3), 600
    deviations = np.array([0.1, 0.1, 0.1, 3.0])[:, None]
    figures = rng.normal(0, 1, (repetitions, 2, 4, 5)) * deviations  # arms, levels, seeds
    wrong = 0
    for (treatment, control), *_ in zip(figures.tolist(), strict=True):
        pairs = [[(dict(enumerate(t)), dict(enumerate(c)))] for t, c in zip(treatment, control, strict=True)]
        wrong += difference_of_differences(pairs[3], pairs[0]).interval.excludes_zero
    assert wrong / repetitions == pytest.approx(0.05, abs=0.03)
    gains = figures[:, 0] - figures[:, 1]
    centred = gains - gains.mean(axis=1, keepdims=True)
    levels = centred.mean(axis=2, keepdims=True)
    between = 5 * np.square(levels).sum(axis=(1, 2)) / 3
    within = np.square(centred - levels).sum(axis=(1, 2)) / 12
    assert (between / within > 3.49).mean() > 0.08, "the 5 % point of F with 3 and 12 degrees of freedom"


def test_runs_that_diverged_on_either_side_of_a_seed_cancel():
    better, worse = {0: 1.0, 1: 1.0}, {0: 2.0, 1: math.inf}
    assert ranked_paired_difference([(worse, better), (better, worse)]).ranked == (0.0, 0.0)
    assert ranked_paired_difference([(worse, better), (worse, worse)]).ranked == (0.5, math.inf)
