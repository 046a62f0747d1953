"""Where the variation of a finding comes from, from a ledger with sources drawn anew."""

import json
from dataclasses import replace

import numpy as np
import pytest

from l2rw_ray.config import Stage, parse_study
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.planning.variation import variation_advice
from l2rw_ray.report.ablation.summarise import summarise
from l2rw_ray.report.comparisons import variation
from l2rw_ray.report.design_points import points
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.writer import write_record
from tests.report.conftest import FakeStudy, _record, spec_of

DEVIATIONS = {"split": 0.03, "init": 0.004, "order": 0.002}


@pytest.fixture
def study(tmp_path) -> StudyFolder:
    """Two methods over ten seeds whose difference varies with the split for the most part."""
    tree = spec_of(FakeStudy(factors={"method.name": ["uniform", "l2rw"]})).model_dump(mode="json")
    spec = parse_study({**tree, "seeds": {"count": 10, "redraw": list(DEVIATIONS)}})
    folder, rng = StudyFolder(tmp_path / "sources"), np.random.default_rng(0)
    folder.create()
    plan = plan_study(spec)
    folder.write_plan(spec, plan)
    draws = {source: rng.normal(0, size, (2, 10)) for source, size in DEVIATIONS.items()}
    for trial in plan:
        record = _record(FakeStudy(), trial, 0.0, np.zeros(40))
        gain = sum(own[int(trial.redrawn == source), trial.seed] for source, own in draws.items())
        value = 0.7 + (0.05 + float(gain) if record.method == "l2rw" else 0.0)
        metrics = {**record.metrics, "test_balanced_accuracy": value}
        write_record(folder, replace(record, metrics=metrics))
    return folder


def test_the_table_names_the_source_that_makes_most_of_it(study):
    summary = summarise(study.path)
    table = next(each for each in summary.details if each.key == "variation")
    rows = {row.name: [cell.text for cell in row.cells] for row in table.rows}
    assert list(rows) == [
        "all of them, between seeds",
        "sets, made noise and imbalance",
        "initial weights",
        "order of batches and the method's draws",
    ]
    assert {row[0] for row in rows.values()} == {"10"}
    assert float(rows["sets, made noise and imbalance"][1]) > 5 * float(rows["initial weights"][1])
    assert "Most of the variation comes from the sets, made noise and imbalance" in table.note


def test_trials_drawn_anew_are_in_no_claim(study):
    summary = summarise(study.path)
    assert summary.pooled[0].difference.interval.n == 10
    assert summary.counts.planned == 20
    assert {trial.stage for trial in summary.trials} == {"final", "redrawn"}


def test_the_plan_says_which_source_to_replicate(study):
    assert "seeds have to draw other sets" in variation_advice(study)


def test_nothing_is_said_before_anything_was_drawn_anew(study):
    for row in study.read_plan():
        if row.stage is Stage.REDRAWN:
            study.trial_file(row.trial_id).unlink()
    assert variation_advice(study) is None
    assert not any(table.key == "variation" for table in summarise(study.path).details)
    assert json.loads((study.path / "plan.json").read_text())


def test_a_setting_in_which_a_source_is_not_drawn_anew_yet_is_left_out(tmp_path):
    """The gain is 0 with clean labels and 10 points with noise; initial weights change nothing."""
    factors = {"method.name": ["uniform", "l2rw"], "data.noise.rate": [0.1, 0.4]}
    tree = spec_of(FakeStudy(factors=factors)).model_dump(mode="json")
    spec = parse_study({**tree, "seeds": {"count": 6, "redraw": ["init"]}})
    folder, rng = StudyFolder(tmp_path / "partly"), np.random.default_rng(0)
    folder.create()
    plan = plan_study(spec)
    folder.write_plan(spec, plan)
    drawn = 0.01 * rng.normal(size=6)
    for trial in plan:
        is_noisy = trial.factors["data.noise.rate"] == 0.4
        if is_noisy and trial.redrawn is not None:
            continue
        record = _record(FakeStudy(), trial, 0.0, np.zeros(40))
        gain = float(drawn[trial.seed]) + 0.1 * is_noisy
        value = 0.7 + (gain if record.method == "l2rw" else 0.0)
        metrics = {**record.metrics, "test_balanced_accuracy": value}
        write_record(folder, replace(record, metrics=metrics))
    table = next(each for each in summarise(folder.path).details if each.key == "variation")
    between, init = ([cell.text for cell in row.cells] for row in table.rows)
    assert float(between[1]) == pytest.approx(100 * drawn.std(ddof=1), abs=0.06)
    assert (float(init[1]), init[2]) == (0, "–"), "no change at any seed does not bound the next one"
    assert "Left out: 1 setting where not every source has results." in table.note


def test_a_failed_trial_with_a_source_drawn_anew_is_named(study):
    trial = next(each for each in plan_study(study.read_spec()) if each.redrawn == "order")
    failed = replace(_record(FakeStudy(), trial, 0.0, np.zeros(40)), status="failed", error="out of luck")
    write_record(study, failed)
    (problem,) = summarise(study.path).problems
    assert (problem.trial_id, problem.status) == (trial.trial_id, "failed")


def test_accuracies_of_diverged_trials_drawn_anew_count_as_chance(study):
    _diverge(study, 2)
    note, rows = _variation(study)
    assert "2 trials drawn anew diverged (initial weights: 2) and count as chance level." in note
    assert rows["initial weights"][0] == "10"
    assert float(rows["initial weights"][1]) > 10


def test_errors_of_diverged_trials_drawn_anew_are_left_out_and_counted(study, monkeypatch):
    """As if the headline were an error, which has no worst value."""
    _diverge(study, 2)
    monkeypatch.setattr(points, "chance_level", lambda *_: None)
    monkeypatch.setattr(variation.MetricSpec, "is_share", False)
    note, rows = _variation(study)
    assert "2 trials drawn anew diverged (initial weights: 2) and are left out" in note
    assert (rows["all of them, between seeds"][0], rows["initial weights"][0]) == ("10", "8")


def test_a_source_of_which_all_trials_diverged_has_a_row(study, monkeypatch):
    """At chance level each change is the whole gain of the method over it; an error has no such value."""
    _diverge(study, 10)
    note, rows = _variation(study)
    l2rw = next(point for point in summarise(study.path).points if point.method == "l2rw")
    gains = [value - 0.1 for value in l2rw.by_seed["test_balanced_accuracy"].values()]
    assert rows["initial weights"][0] == "10"
    assert float(rows["initial weights"][1]) == pytest.approx(
        100 * np.sqrt(np.mean(np.square(gains)) / 2), abs=0.06
    )
    monkeypatch.setattr(points, "chance_level", lambda *_: None)
    monkeypatch.setattr(variation.MetricSpec, "is_share", False)
    note, rows = _variation(study)
    assert "10 trials drawn anew diverged (initial weights: 10) and are left out" in note
    assert rows["initial weights"] == ["–", "too many diverged", "–", "–"]


def _diverge(study: StudyFolder, number: int) -> None:
    """Let the first trials of l2rw with other initial weights diverge."""
    own = [each for each in plan_study(study.read_spec()) if each.redrawn == "init"]
    for trial in [each for each in own if each.factors["method.name"] == "l2rw"][:number]:
        record = _record(FakeStudy(), trial, 0.0, np.zeros(40))
        write_record(study, replace(record, status="diverged", error="non-finite loss", metrics={}))


def _variation(study: StudyFolder) -> tuple[str, dict[str, list[str]]]:
    table = next(each for each in summarise(study.path).details if each.key == "variation")
    return table.note, {row.name: [cell.text for cell in row.cells] for row in table.rows}
