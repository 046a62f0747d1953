"""Expected best by the budget of a search: means, and what their bands hold."""

import numpy as np
import pytest

from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.report.search.budgets import SearchedArm, budget_table, search_budgets
from l2rw_ray.statistics import mean_interval

METRIC = "validation_balanced_accuracy"
EVERYWHERE = Setting(())


def test_bands_of_a_single_search_close_at_its_whole_budget():
    searched = [SearchedArm("uniform", EVERYWHERE, (0.5, 0.7, 0.6, 0.8), lost=2)]
    found = search_budgets(searched, METRIC, less_is_better=False)
    (curve,) = found.curves
    assert curve.band[0] == (0.5, 0.7)
    assert curve.band[-1] == (0.8, 0.8)
    assert [mean.mean for mean in curve.means] == pytest.approx([0.65, 0.7333333, 0.775, 0.8])
    assert found.note.endswith(
        "is not in them. Configurations that failed or were stopped (uniform: 2) are left out."
    )


def test_bands_of_several_searches_are_intervals_over_them():
    values = [(0.5, 0.7, 0.6), (0.4, 0.8), (0.5, 0.5, 0.9)]
    found = search_budgets(
        [SearchedArm("uniform", EVERYWHERE, own) for own in values], METRIC, less_is_better=False
    )
    (curve,) = found.curves
    expected = mean_interval([0.2 / 3 + 0.6, 0.8, (0.5 + 2 * 0.9) / 3])
    assert len(curve.means) == 2, "every search tried two"
    assert (curve.means[1].mean, *curve.band[1]) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    assert "Means over 3 searches of each arm, bands their 95 % intervals" in budget_table(found).note


def test_one_configuration_has_no_curve():
    searched = [SearchedArm("uniform", EVERYWHERE, (0.5,)), SearchedArm("l2rw", EVERYWHERE, ())]
    assert search_budgets(searched, METRIC, less_is_better=False) is None


def test_configurations_that_diverged_count_as_chance():
    searched = [SearchedArm("l2rw", EVERYWHERE, (0.5, 0.9), diverged=2)]
    found = search_budgets(searched, METRIC, less_is_better=False, chance=0.1)
    (curve,) = found.curves
    # of the six pairs five hold 0.9 or 0.5: three 0.9, two 0.5, one neither
    assert [mean.mean for mean in curve.means] == pytest.approx([1.6 / 4, 3.8 / 6, 0.8, 0.9])
    assert found.note.endswith("Configurations that diverged (l2rw: 2) count as chance level.")


def test_an_error_that_diverged_counts_as_the_worst_of_any_arm():
    searched = [
        SearchedArm("l2rw", EVERYWHERE, (1.0,), diverged=1),
        SearchedArm("uniform", EVERYWHERE, (3.0,)),
    ]
    found = search_budgets(searched, "validation_rmse", less_is_better=True)
    assert [mean.mean for mean in found.curves[0].means] == [2.0, 1.0]
    assert found.note.endswith("Configurations that diverged (l2rw: 1) count as the worst of any arm.")
    nothing = [SearchedArm("l2rw", EVERYWHERE, (), diverged=3)]
    assert search_budgets(nothing, "validation_rmse", less_is_better=True) is None


def test_a_search_without_any_result_leaves_the_curve_of_its_arm():
    searched = [
        SearchedArm("l2rw", EVERYWHERE, (0.5, 0.7)),
        SearchedArm("l2rw", EVERYWHERE, (), lost=3),
        SearchedArm("uniform", EVERYWHERE, (), lost=1),
    ]
    found = search_budgets(searched, METRIC, less_is_better=False, chance=0.1)
    assert [[mean.mean for mean in curve.means] for curve in found.curves] == [[0.6, 0.7], []]
    assert found.note.endswith(
        "Configurations that failed or were stopped (l2rw: 3, uniform: 1) are left out. "
        "Searches without any result (l2rw: 1, uniform: 1) are left out."
    )
    assert [len(row.cells) for row in budget_table(found).rows] == [2, 2]


def test_counted_as_chance_they_leave_the_curve_of_a_new_search_unbiased():
    """Of each search 30 % of eight configurations diverge; left out, their arm looks three points better."""
    rng, at = np.random.default_rng(0), 3
    values = np.where(rng.random((4000, 8)) < 0.3, 0.1, rng.normal(0.7, 0.05, (4000, 8)))
    true = values[:, :at].max(axis=1).mean()
    curves = []
    for counted in (1, 0):
        searched = [
            SearchedArm("l2rw", EVERYWHERE, tuple(own[own > 0.1]), diverged=counted * int((own == 0.1).sum()))
            for own in values[:400]
        ]
        full = [each for each in searched if len(each.values) + each.diverged >= at]
        found = search_budgets(full, METRIC, less_is_better=False, chance=0.1)
        curves.append(found.curves[0].means[at - 1].mean)
    assert curves == pytest.approx([true, true + 0.03], abs=0.005)
