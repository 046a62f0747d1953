import math

import numpy as np
import pytest
from scipy import stats

from l2rw_ray.statistics.minimum_effective import Verdict, effective_level, look_sizes


def by_seed(rows: np.ndarray) -> list[dict[int, float]]:
    return [dict(enumerate(row)) for row in rows]


def test_looks_grow_by_half_up_to_the_most():
    assert look_sizes(3, 20) == (3, 5, 8, 12, 18, 20)
    assert look_sizes(2, 2) == (2,)
    assert look_sizes(4, 4) == (4,)


def test_limits_are_those_of_one_sided_paired_t_tests():
    rng = np.random.default_rng(0)
    figures = rng.normal(size=(2, 6))
    found = effective_level(by_seed(figures), 0.1, alpha=0.05, looks=4)
    for place, rival in ((0, 1), (1, 0)):
        difference = figures[rival] - figures[place]
        error = stats.sem(difference)
        high = difference.mean() + stats.t.ppf(1 - 0.05 / 8, 5) * error
        low = difference.mean() - stats.t.ppf(1 - 0.05 / 8, 5) * error  # one rival only
        level = found.levels[place]
        assert (level.rival, level.shortfall_low, level.shortfall_high) == pytest.approx((rival, low, high))


def test_the_cheapest_level_within_the_margin_is_the_answer():
    noise = np.random.default_rng(1).normal(0, 1e-3, (4, 10))
    figures = by_seed(np.array([[0.5], [0.79], [0.8], [0.8]]) + noise)
    found = effective_level(figures, 0.02, alpha=0.05, looks=5)
    assert (found.answer, found.is_settled, found.undecided) == (1, True, ())
    assert [level.verdict for level in found.levels] == [Verdict.WORSE, *[Verdict.ENOUGH] * 3]
    narrow = effective_level(figures, 0.005, alpha=0.05, looks=5)
    assert narrow.answer == 2
    last = effective_level(figures, 0.02, alpha=0.05, looks=5, cheapest_first=False)
    assert last.answer == 3
    losses = [{seed: -figure for seed, figure in level.items()} for level in figures]
    assert effective_level(losses, 0.02, alpha=0.05, looks=5, more_is_better=False) == found


def test_a_level_near_the_margin_stays_open_and_keeps_the_answer_open():
    noise = np.random.default_rng(2).normal(0, 0.02, (3, 4))
    found = effective_level(by_seed(np.array([[0.2], [0.78], [0.8]]) + noise), 0.02, alpha=0.05, looks=5)
    assert found.levels[1].verdict is Verdict.OPEN
    assert found.levels[0].verdict is Verdict.WORSE
    assert not found.is_settled
    assert 1 in found.undecided
    assert 0 not in found.undecided


def test_without_two_shared_seeds_nothing_is_decided():
    found = effective_level([{0: 0.1, 1: 0.2}, {1: 0.5, 2: 0.6}], 0.1, alpha=0.05, looks=1)
    assert found.answer is None
    assert all(level.verdict is Verdict.OPEN for level in found.levels)
    assert math.isnan(found.levels[0].shortfall_high)
    alone = effective_level([{0: 0.1, 1: 0.2}, {}], 0.1, alpha=0.05, looks=1)
    assert [level.verdict for level in alone.levels] == [Verdict.UNKNOWN] * 2
    assert alone.answer is None


def test_a_wrong_answer_is_as_rare_as_promised():
    """The cheapest level is worse by just more than the margin: calling it enough is wrong."""
    rng, wrong = np.random.default_rng(3), 0
    looks = look_sizes(3, 12)
    for _ in range(1500):
        figures = np.array([[0.7 - 1e-9], [0.8], [0.8]]) + rng.normal(0, 0.05, (3, 12))
        wrong += any(
            effective_level(by_seed(figures[:, :size]), 0.1, alpha=0.2, looks=len(looks)).answer == 0
            for size in looks
        )
    assert wrong / 1500 <= 0.2 + 3 * math.sqrt(0.2 * 0.8 / 1500)


def test_levels_at_chance_are_not_certified():
    """Levels that collapse to exactly chance in half of the seeds look alike where both did."""
    rng, wrong, looks = np.random.default_rng(4), 0, look_sizes(2, 9)
    for _ in range(1000):
        collapsed = rng.random(9) < 0.5
        figures = np.array([np.full(9, 0.1), np.where(collapsed, 0.1, 0.8)])
        wrong += any(
            effective_level(by_seed(figures[:, :size]), 0.1, alpha=0.05, looks=len(looks), widest=1.0).answer
            == 0
            for size in looks
        )
    assert wrong == 0


def test_calling_a_level_worse_is_wrong_as_rarely():
    rng, wrong, looks = np.random.default_rng(5), 0, look_sizes(3, 12)
    for _ in range(600):
        figures = np.array([[0.7], *[[0.8]] * 4]) + rng.normal(0, 0.05, (5, 12))
        wrong += any(
            Verdict.WORSE
            in {
                each.verdict
                for each in effective_level(
                    by_seed(figures[:, :size]), 0.1, alpha=0.2, looks=len(looks)
                ).levels
            }
            for size in looks
        )
    assert wrong / 600 <= 0.2 + 3 * math.sqrt(0.2 * 0.8 / 600)


def test_a_level_that_diverged_is_not_enough():
    losses = by_seed(np.array([[0.5], [0.51]]) + np.random.default_rng(6).normal(0, 1e-3, (2, 8)))
    losses[0][3] = math.inf
    found = effective_level(losses, 0.1, alpha=0.05, looks=1, more_is_better=False)
    assert [level.verdict for level in found.levels] == [Verdict.OPEN, Verdict.ENOUGH]


def test_differences_that_do_not_vary_decide_nothing_without_a_bound():
    found = effective_level([{0: 0.7, 1: 0.8}, {0: 0.8, 1: 0.9}], 0.2, alpha=0.05, looks=1)
    assert [level.verdict for level in found.levels] == [Verdict.OPEN] * 2
    assert found.answer is None
    equal = [{seed: 0.7 + 0.01 * seed for seed in range(20)}] * 2
    assert effective_level(equal, 0.2, alpha=0.05, looks=1).answer is None
    assert effective_level(equal, 0.2, alpha=0.05, looks=1, widest=1.0).answer == 0
    assert effective_level(equal, 0.1, alpha=0.05, looks=1, widest=1.0).answer is None, "20 seeds are too few"
