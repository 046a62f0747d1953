"""Tests reject a true null as often as they say, and Holm keeps a whole family to that."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from l2rw_ray.statistics import mean_interval
from l2rw_ray.statistics.significance import holm, paired_t_test, sign_flip_test, signed_rank_test

RNG = np.random.default_rng(0)


def test_the_t_test_is_scipys_and_agrees_with_the_interval():
    for sample in RNG.normal(0.8, 1, (50, 5)):
        found = paired_t_test(sample)
        assert found == pytest.approx(stats.ttest_1samp(sample, 0).pvalue)
        assert (found < 0.05) == mean_interval(sample).excludes_zero


def test_differences_that_do_not_vary():
    assert paired_t_test([0.1, 0.1]) is None, "nothing tells how certain they are"
    assert paired_t_test([0.8 - 0.7, 0.9 - 0.8]) is None, "equal up to rounding"
    assert paired_t_test([0.0, 0.0]) == 1.0
    assert sign_flip_test([0.0, 0.0, 0.0], RNG) == 1.0


def test_one_seed_concludes_nothing():
    assert paired_t_test([1.0]) is None
    assert sign_flip_test([1.0], RNG) is None


def test_sign_flips_are_exact_and_agree_with_scipy():
    sample = RNG.normal(0.5, 1, 7)
    expected = stats.permutation_test(
        (sample,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_test(sample, RNG) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("seeds", "least"), [(3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_few_seeds_leave_few_p_values(seeds, least):
    assert sign_flip_test(np.arange(1, seeds + 1), RNG) == least


def test_many_seeds_draw_their_flips():
    sample = np.random.default_rng(1).normal(0.4, 1, 20)
    found = sign_flip_test(sample, np.random.default_rng(2))
    assert found == sign_flip_test(sample, np.random.default_rng(2))
    assert found == pytest.approx(stats.ttest_1samp(sample, 0).pvalue, abs=0.02)


@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_a_true_null_is_rejected_once_in_twenty(seeds):
    samples = np.random.default_rng(seeds).normal(size=(2000, seeds))
    p_values = np.array([paired_t_test(sample) for sample in samples])
    assert (p_values < 0.05).mean() == pytest.approx(0.05, abs=0.015)
    assert (p_values < 0.5).mean() == pytest.approx(0.5, abs=0.035)


def test_sign_flips_reject_no_more_than_they_say_of_heavy_tails():
    samples = np.random.default_rng(4).standard_cauchy((1500, 7))
    found = np.array([sign_flip_test(sample, RNG) for sample in samples])
    assert (found <= 0.05).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)


def test_holm_is_the_textbooks():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.9, None, 0.02]) == (pytest.approx(0.9), None, pytest.approx(0.04))
    assert holm([None]) == (None,)
    assert holm([]) == ()


def test_holm_is_that_of_statsmodels():
    for size in (1, 2, 7):
        p_values = np.random.default_rng(size).uniform(0, 0.3, size)
        assert holm(p_values) == pytest.approx(tuple(multipletests(p_values, method="holm")[1]))


def test_holm_keeps_the_family_where_treatments_share_a_control():
    """Six true nulls against one control: uncorrected, one in six families errs; by Holm, one in twenty."""
    rng = np.random.default_rng(5)
    control, treatments = rng.normal(size=(1500, 1, 5)), rng.normal(size=(1500, 6, 5))
    p_values = stats.ttest_1samp(treatments - control, 0, axis=2).pvalue
    wrong = np.mean([min(holm(family)) < 0.05 for family in p_values])
    assert (p_values.min(axis=1) < 0.05).mean() > 0.12
    assert wrong <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)


def test_signed_ranks_agree_with_scipy_and_take_infinity():
    sample = np.random.default_rng(3).normal(0.5, 1, 9)
    assert signed_rank_test(sample, RNG) == pytest.approx(stats.wilcoxon(sample, method="exact").pvalue)
    largest = sample.copy()
    largest[np.abs(sample).argmax()] = np.copysign(np.inf, sample[np.abs(sample).argmax()])
    assert signed_rank_test(largest, RNG) == signed_rank_test(sample, RNG)
    assert signed_rank_test([0.0, 0.0, np.inf], RNG) == 1.0
