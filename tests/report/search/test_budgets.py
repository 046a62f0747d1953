"""Expected best by the budget of a search: means, and what their bands hold."""

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
    assert found.note.endswith("is not in them. 2 configurations without a result left out.")


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
