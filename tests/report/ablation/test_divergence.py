"""Runs that diverge count as the worst outcome, in means, tests and words."""

from dataclasses import replace

import numpy as np
import pytest

from l2rw_ray.config.functions.metrics import Metric
from l2rw_ray.report.ablation.headline import sentence
from l2rw_ray.report.ablation.summarise import summarise
from l2rw_ray.report.comparisons.comparison import Comparison, with_evidence
from l2rw_ray.report.comparisons.contrast import Contrast, compare_pooled
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.labels import HEADLINE, metric_spec_for
from l2rw_ray.report.design_points.metric_table import MetricTable
from l2rw_ray.report.design_points.points import Outcome, chance_level, warnings_of
from l2rw_ray.report.design_points.setting import Factor, Setting
from l2rw_ray.statistics import mean_interval

METHODS = Contrast(Factor("method.name", ("uniform", "l2rw")), "uniform", ("l2rw",))


def compared(l2rw, uniform, diverged, metric=HEADLINE) -> Comparison:
    """Compare two methods of which the first diverged at some seeds; NaN there."""
    points = [
        _point("l2rw", dict(enumerate(l2rw)), diverged, metric),
        _point("uniform", dict(enumerate(uniform)), (), metric),
    ]
    (found,) = with_evidence(compare_pooled(METHODS, points, points, metric))
    return found


def _point(method, values, diverged, metric) -> DesignPoint:
    survivors = {seed: value for seed, value in values.items() if seed not in diverged}
    counted = {**survivors, **dict.fromkeys(diverged, 0.1)} if metric == HEADLINE else survivors
    return DesignPoint(
        method, Setting(()), {metric: counted}, {metric: mean_interval(counted.values())}, True,
        diverged=frozenset(diverged), survivors={metric: survivors} if diverged else {},
    )  # fmt: skip


def test_a_diverged_run_counts_at_chance_level(fake_study, plain):
    factors = {"method.name": ["uniform", "l2rw"]}
    summary = summarise(fake_study(replace(plain, factors=factors, seeds=5, failing=None, diverging=[6, 8])))
    l2rw = next(point for point in summary.points if point.method == "l2rw")
    assert [l2rw.by_seed[HEADLINE][seed] for seed in (1, 3)] == [0.1, 0.1]
    assert l2rw.by_seed["test_worst_class_accuracy"][1] == 0.0
    assert set(l2rw.survivors[HEADLINE]) == {0, 2, 4}
    assert "validation_balanced_accuracy" not in l2rw.survivors
    assert (summary.counts.diverged, summary.counts.failed, summary.counts.missing) == (2, 0, 0)
    assert "2 of 5 seeds of l2rw diverged (95 % limits 5 to 85 %), counted as chance level" in summary.finding
    assert "among seeds of which no run diverged +" in summary.finding
    assert summary.problems[0].status == "diverged"


def test_a_declared_metric_has_no_known_chance_level(default_study):
    declared = {"rate": Metric(mode="max", format="percent"), "loss": Metric(mode="min", format="percent")}
    table = MetricTable(declared, False, "rate")
    assert [chance_level(table.named(name), 10) for name in declared] == [0.0, 1.0]
    assert metric_spec_for(table.named("rate")).of_divergence == "the worst value, 0.0 %"
    assert metric_spec_for(HEADLINE).of_divergence == "chance level"
    row = {"status": "completed", "reason": None, "rate": 93.5, "loss": 0.5}
    outcome = Outcome("0", 0, "main", Setting(()), row)
    (warning,) = warnings_of([outcome], table)
    assert warning == (
        "1 of 1 value of rate beyond what is declared possible, 0 to 1, such as 93.5: format: percent takes "
        "fractions, 0.5 for 50 %; else declare lowest and highest as they are"
    )


def test_a_trial_that_failed_makes_the_finding_incomplete(default_study):
    assert "incomplete: 1 of 3 seeds of random" in " ".join(summarise(default_study).further_findings)
    assert "incomplete" not in summarise(default_study).finding


def test_errors_rank_a_diverged_run_last():
    errors = np.array([1.0, 1.1, 1.2, 0.9, 1.0, 1.3, 1.1, 1.0])
    found = compared(errors - 0.3, errors, (0, 1), "test_rmse")
    assert found.difference.ranked[:2] == (np.inf, np.inf)
    assert found.evidence.p > 0.2, "six seeds are better, two are worst of all"
    assert "ranks in which runs that diverged are last" in sentence(found)
    assert found.survivors.interval.mean == pytest.approx(-0.3)
    worse = compared(errors + np.linspace(0.1, 0.4, 8), errors, (0, 1), "test_rmse")
    assert worse.evidence.is_clear


@pytest.mark.parametrize("seeds", [5, 15])
def test_a_method_that_diverges_is_not_called_better(seeds):
    rng, claims, unseen = np.random.default_rng(seeds), 0, 0
    for _ in range(300):
        uniform = rng.normal(0.8, 0.01, seeds)
        l2rw = uniform + rng.normal(0.02, 0.01, seeds)
        diverged = tuple(np.flatnonzero(rng.random(seeds) < 0.25).tolist())
        found = compared(l2rw, uniform, diverged)
        if diverged:
            claims += found.is_clear and found.difference.interval.mean > 0
        unseen += not diverged
    assert claims <= 0.025 * 1.5 * 300
    assert unseen / 300 == pytest.approx(0.75**seeds, abs=0.05), "what no statistic can see"
