import math
import re
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report import summarise
from l2rw_ray.report.ablation.headline import sentence
from l2rw_ray.report.ablation.tables import accuracy_tables
from l2rw_ray.report.design_points.labels import HEADLINE
from l2rw_ray.report.design_points.points import Outcome, counts_of, problems_of
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.results import StudyFolder, read_study
from l2rw_ray.statistics import mean_interval, paired_difference

LEVEL = "data.bias.level"


def values(path, level, method):
    rows = read_study(path).to_pylist()
    return {
        row["seed"]: row[HEADLINE]
        for row in rows
        if row[f"factor.{LEVEL}"] == level and row["factor.method.name"] == method and row[HEADLINE]
    }


def test_cells_hold_the_ledgers_figures(default_study):
    summary = summarise(default_study)
    assert summary.methods == ("uniform", "random", "l2rw")
    for point in summary.points:
        expected = values(default_study, point.setting.level(LEVEL), point.method)
        assert point.by_seed[HEADLINE] == expected
        assert point.intervals[HEADLINE] == mean_interval(expected.values()).clipped(0, 1)


def test_differences_are_paired_with_the_control(default_study):
    summary = summarise(default_study)
    assert (summary.control, summary.headline) == ("uniform", "l2rw")
    (found,) = (
        comparison
        for comparison in summary.comparisons
        if comparison.treatment == "l2rw" and comparison.setting.level(LEVEL) == 0.9
    )
    expected = paired_difference(values(default_study, 0.9, "l2rw"), values(default_study, 0.9, "uniform"))
    assert found.difference == expected


def test_the_finding_states_difference_interval_and_seeds(default_study):
    summary = summarise(default_study)
    interval = summary.pooled[0].difference.interval
    assert interval.n == 3
    assert summary.finding.startswith(
        f"l2rw − uniform: +{100 * interval.mean:.1f} points of test balanced accuracy"
    )
    assert (
        f"95 % interval +{100 * interval.low:.1f} to +{100 * interval.high:.1f}, 3 seeds, paired"
        in summary.finding
    )
    assert len(summary.further_findings) == 1
    assert summary.further_findings[0].startswith("random − uniform")


def test_an_interval_around_zero_shows_no_difference(fake_study, plain):
    finding = summarise(fake_study(replace(plain, gain=0.0, failing=None))).finding
    assert re.search(
        r": not shown with \d seeds; a new study planned with \d+ could show a difference", finding
    )


def test_a_difference_that_no_study_would_show_is_said_to_be_one(fake_study, plain):
    (pooled, *_) = summarise(fake_study(replace(plain, failing=None))).pooled
    interval = replace(pooled.difference.interval, mean=1e-9, low=-0.1, high=0.1)
    difference = replace(pooled.difference, interval=interval)
    evidence = replace(pooled.evidence, p=0.9, p_corrected=0.9)
    assert sentence(replace(pooled, difference=difference, evidence=evidence)).endswith(
        "nor would 1000 of a new study show a difference of this size"
    )


def test_one_seed_concludes_nothing(fake_study, plain):
    summary = summarise(fake_study(replace(plain, seeds=1, failing=None)))
    assert summary.finding.endswith("(one seed: nothing can be concluded)")


def test_without_arms_the_last_level_is_compared_with_the_first(fake_study, plain):
    factors = {"data.meta_per_class": [1, 5, 20]}
    summary = summarise(fake_study(replace(plain, factors=factors, failing=None)))
    assert summary.finding.startswith("clean examples per class 20 − clean examples per class 1: ")
    assert summary.methods == ("l2rw",)


def test_a_single_point_is_reported_without_comparison(fake_study, plain):
    summary = summarise(fake_study(replace(plain, factors={"method.name": ["l2rw"]}, failing=None)))
    assert "there is nothing to compare it with" in summary.finding


def test_a_single_point_tells_its_interval_or_that_there_is_one_seed(fake_study, plain):
    one = replace(plain, factors={"method.name": ["l2rw"]}, failing=None)
    assert "(95 % interval " in summarise(fake_study(one)).finding
    assert "(one seed);" in summarise(fake_study(replace(one, name="one", seeds=1))).finding


def test_seeds_without_partners_are_counted(fake_study, plain):
    summary = summarise(fake_study(replace(plain, seeds=4, missing=[0, 1], failing=None)))
    assert any("2 seeds that lack a partner" in warning for warning in summary.warnings)


def test_an_interrupted_trial_is_missing():
    row = {"status": "stopped", "reason": "interrupted", "error": None}
    outcome = Outcome("0", 0, "l2rw", Setting(()), row)
    assert counts_of([outcome]).missing == 1
    assert problems_of([outcome]) == ()
    assert counts_of([replace(outcome, row=row | {"reason": "scheduler"})]).stopped == 1


def test_limits_are_called_cut_off_only_where_they_are(default_study):
    summary = summarise(default_study)

    def note(*values):
        sample = dict(enumerate(values))
        interval = mean_interval(values).clipped(0, 1)
        points = (replace(summary.points[0], by_seed={HEADLINE: sample}, intervals={HEADLINE: interval}),)
        return accuracy_tables(replace(summary, points=points))[0].note

    assert "cut off" not in note(1.0, 1.0)
    assert "(100.0 %)" in note(1.0, 0.9)


def test_effects_average_the_other_factors_within_seeds(fake_study, plain):
    factors = {LEVEL: [0.5, 0.9], "data.noise.rate": [0.0, 0.4], "method.name": ["uniform", "l2rw"]}
    summary = summarise(fake_study(replace(plain, factors=factors, failing=None)))
    effect = summary.effects[0]
    point = next(point for point in effect.points if (point.method, point.level) == ("l2rw", 0.5))
    points = [c for c in summary.points if c.method == "l2rw" and c.setting.level(LEVEL) == 0.5]
    means = [sum(point.by_seed[HEADLINE][seed] for point in points) / 2 for seed in range(3)]
    assert len(points) == 2
    assert point.interval.mean == pytest.approx(mean_interval(means).mean)
    assert point.interval.high == pytest.approx(mean_interval(means).high)


def test_failed_and_missing_trials_are_counted_and_named(fake_study, plain):
    summary = summarise(fake_study(replace(plain, missing=[0, 26])))
    counts = summary.counts
    assert (counts.planned, counts.completed, counts.failed, counts.missing) == (27, 24, 1, 2)
    (problem,) = summary.problems
    assert problem.why.startswith("ValueError")
    assert problem.log == f"logs/{problem.trial_id}.log"
    assert "incomplete: 2 planned trials of 27" in summary.warnings[0]


def test_an_average_over_some_settings_says_so(fake_study, plain):
    summary = summarise(fake_study(replace(plain, missing=[0, 1, 2], failing=None)))
    assert "averaged over 2 of 3 settings" in summary.finding


def test_without_a_seed_that_is_everywhere_only_the_fullest_settings_count(fake_study, plain):
    summary = summarise(fake_study(replace(plain, missing=[0, 10, 11], failing=None)))
    assert "averaged over 1 of 3 settings" in summary.finding
    assert "3 seeds" in summary.finding


def test_no_seed_in_common_compares_nothing(fake_study, plain):
    summary = summarise(fake_study(replace(plain, missing=[0, 10, 20], failing=None)))
    assert "nothing can be compared" in summary.finding


def test_values_that_are_not_finite_are_left_out_with_a_warning(default_study):
    path = next(StudyFolder(default_study).trials.glob("0000*"))
    table = pq.read_table(path)
    place = table.schema.get_field_index(HEADLINE)
    pq.write_table(table.set_column(place, table.schema.field(place), [[math.nan]]), path)
    summary = summarise(default_study)
    assert any("not finite: test_balanced_accuracy" in warning for warning in summary.warnings)
    assert 0 not in summary.points[0].by_seed[HEADLINE]


def test_nothing_finished_is_refused(fake_study, plain):
    with pytest.raises(StudyFolderError, match="no trial has finished"):
        summarise(fake_study(replace(plain, missing=range(27))))


def test_only_failures_conclude_nothing(fake_study, plain):
    summary = summarise(fake_study(replace(plain, missing=[i for i in range(27) if i != 4])))
    assert summary.finding == "no trial with test metrics completed: nothing can be concluded"


def test_methods_that_saw_other_rows_are_reported(default_study):
    path = next(StudyFolder(default_study).trials.glob("0000*"))
    table = pq.read_table(path)
    place = table.schema.get_field_index("split_hash_train")
    pq.write_table(table.set_column(place, table.schema.field(place), [["other"]]), path)
    assert "methods differ in their data" in dict(summarise(default_study).provenance)["Splits"]


def test_warnings_of_trials_are_listed_once_for_each_remedy(default_study):
    folder = StudyFolder(default_study)
    warned = {"0700" * 4: "on 20% of the steps: clean it", "0701" * 4: "on 30% of the steps: clean it"}
    for trial_id, warning in warned.items():
        path = folder.trial_file(trial_id)
        table = pq.read_table(path)
        column = table.schema.get_field_index("warnings")
        field = table.schema.field("warnings")
        pq.write_table(table.set_column(column, field, pa.array([[warning]], field.type)), path)
    summary = summarise(default_study)
    (row,) = summary.signatures.rows
    where, trials, remedy = row.cells
    assert row.name == "on 20% of the steps"
    assert where.text.startswith("random, dominance")
    assert (where.detail, trials.text, remedy.text) == ("seed 0", "2 of 26", "clean it")
    assert summary.warnings[-1].startswith("1 failure signature was found")
