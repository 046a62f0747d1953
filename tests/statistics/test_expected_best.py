from itertools import combinations
from math import ceil
from statistics import fmean

import pytest

from l2rw_ray.statistics.expected_best import best_quantile, budgets, expected_best


@pytest.mark.parametrize("tried", [1, 2, 4, 5])
def test_it_is_the_mean_over_all_searches_of_that_budget(tried):
    values = [0.3, 0.9, 0.5, 0.5, 0.1]
    assert expected_best(values, tried) == pytest.approx(fmean(map(max, combinations(values, tried))))
    lowest = expected_best(values, tried, less_is_better=True)
    assert lowest == pytest.approx(fmean(map(min, combinations(values, tried))))


@pytest.mark.parametrize("tried", [1, 2, 4, 5])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 1.0])
def test_quantiles_are_those_of_all_searches_of_that_budget(tried, share):
    values = [0.3, 0.9, 0.5, 0.6, 0.1]
    best = sorted(map(max, combinations(values, tried)))
    assert best_quantile(values, tried, share) == best[ceil(share * len(best)) - 1]
    turned = [-value for value in values]
    assert best_quantile(turned, tried, share, less_is_better=True) == -best_quantile(values, tried, share)


def test_more_than_were_tried_is_an_error():
    with pytest.raises(ValueError, match="best of 3 among 2"):
        expected_best([1.0, 2.0], 3)


def test_budgets_double():
    assert budgets(1) == (1,)
    assert budgets(15) == (1, 2, 4, 8, 15)
    assert budgets(16) == (1, 2, 4, 8, 16)
