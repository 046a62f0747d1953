"""The finding under other analyses stands beside it and does not replace it."""

from dataclasses import replace

import numpy as np
import pytest

from l2rw_ray.report.ablation.summarise import summarise
from l2rw_ray.report.comparisons.comparison import with_evidence
from l2rw_ray.report.comparisons.contrast import compare_pooled
from l2rw_ray.report.comparisons.multiverse import multiverse_table
from l2rw_ray.report.design_points.labels import HEADLINE, p_text
from l2rw_ray.statistics.significance import paired_t_test, sign_flip_test
from tests.report.ablation.test_divergence import METHODS, _point


def rows_of(l2rw, uniform, diverged=(), margin=None):
    points = [
        _point("l2rw", dict(enumerate(l2rw)), diverged, HEADLINE),
        _point("uniform", dict(enumerate(uniform)), (), HEADLINE),
    ]
    pooled = with_evidence(compare_pooled(METHODS, points, points))
    table = multiverse_table(METHODS, points, points, pooled, margin=margin)
    return {} if table is None else {row.name: [cell.text for cell in row.cells] for row in table.rows}


def test_each_analysis_is_a_row():
    uniform = np.full(8, 0.5)
    gains = np.array([0.04, 0.05, 0.03, 0.06, 0.05, 0.04, 0.05, -0.001])
    rows = rows_of(uniform + gains, uniform, margin=0.1)
    assert rows["as in the finding: t test"] == ["+4.0", p_text(paired_t_test(gains))]
    assert rows["sign-flip test"][1] == p_text(sign_flip_test(gains, np.random.default_rng(0)))
    assert rows["better at"][0] == "7 of 8 seeds (47 to 100 %)"
    assert rows["probability of being better"][0] == "99.9 %"
    assert rows["probability of a difference below 10.0 points of test balanced accuracy"][0] == "99.9 %"
    weakest = max(paired_t_test(np.delete(gains, place)) for place in range(8))
    assert rows["without the seed that supports it most"][1] == p_text(weakest)
    assert not any("diverged" in name for name in rows)


def test_rules_for_failures_are_rows_where_runs_diverged():
    uniform = np.linspace(0.5, 0.52, 6)
    rows = rows_of(uniform + np.array([0.05, 0.04, 0.06, 0.05, 0.04, 0.05]), uniform, diverged=(0,))
    assert rows["without seeds at which a run diverged"][0] == "+4.8"
    assert float(rows["runs that diverged count as 0"][0].replace("−", "-")) == pytest.approx(-4.3, abs=0.1)
    assert rows_of([0.5, 0.6], [0.4, 0.5]) == {}, "two seeds are too few"


def test_other_metrics_are_rows(fake_study, plain):
    summary = summarise(
        fake_study(replace(plain, factors={"method.name": ["uniform", "l2rw"]}, failing=None))
    )
    names = [row.name for row in summary.multiverse.rows]
    assert "in test accuracy" in names
    assert "in test accuracy of the worst class" in names
    assert summary.pooling is None


@pytest.mark.parametrize("levels", [3, 5])
def test_settings_are_drawn_together(fake_study, plain, levels):
    factors = {"data.bias.level": [0.5, 0.6, 0.7, 0.8, 0.9][:levels], "method.name": ["uniform", "l2rw"]}
    summary = summarise(fake_study(replace(plain, factors=factors, seeds=4, failing=None)))
    rows = {row.name: row.cells for row in summary.pooling.rows}
    single = [100 * each.difference.interval.mean for each in summary.comparisons]
    drawn = [float(cells[0].text) for cells in list(rows.values())[:levels]]
    assert np.ptp(drawn) <= np.ptp(single)
    assert np.mean(drawn) == pytest.approx(np.mean(single), abs=0.2)
    further = ["mean of such settings", "another such setting", "deviation between settings"]
    assert list(rows)[levels:] == (further if levels == 5 else [])
    assert ("Fewer than 5 settings" in summary.pooling.note) == (levels == 3)
