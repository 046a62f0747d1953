"""Reports of a regression are about its error, of which less is better."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from l2rw_ray.report import summarise, write_report
from l2rw_ray.report.design_points.labels import HEADLINE, METRICS, MINUS, headline_of
from l2rw_ray.results import StudyFolder, read_study
from l2rw_ray.results.schema import TrialRecord
from l2rw_ray.results.writer import write_record
from l2rw_ray.statistics import Interval
from tests.report.conftest import FakeStudy, plan_of, records_of, spec_of


def _as_regression(record: TrialRecord) -> TrialRecord:
    """The same trial, whose error is small where its accuracy was high."""
    final = record.metrics[HEADLINE]
    metrics = {name: value for name, value in record.metrics.items() if "accuracy" not in name}
    metrics |= {"test_rmse": 2e5 * (1 - final), "test_mae": 1.4e5 * (1 - final), "test_r2": final - 0.2}
    history = tuple(
        replace(epoch, metrics={"validation_rmse": 2e5 * (1 - epoch.metrics["validation_balanced_accuracy"])})
        for epoch in record.history
    )
    return replace(record, metrics=metrics | {"left_out_examples": 965.0}, history=history)


@pytest.fixture
def regression(tmp_path: Path, plain: FakeStudy) -> Callable[..., Path]:
    def write(**changes: object) -> Path:
        study = replace(plain, failing=None, **changes)
        folder, spec = StudyFolder(tmp_path / study.name), spec_of(study)
        folder.create()
        plan = plan_of(study, spec)
        folder.write_plan(spec, plan)
        for record in records_of(study, plan):
            write_record(folder, _as_regression(record))
        return folder.path

    return write


def test_the_answer_is_about_the_error_and_says_which_way_is_better(regression) -> None:
    summary = summarise(regression())
    assert summary.metric == "test_rmse"
    finding = summary.finding
    assert finding.startswith(f"l2rw {MINUS} uniform: {MINUS}")
    assert " in test RMSE, less is better (95 % interval " in finding
    assert "points" not in finding
    interval = summary.pooled[0].difference.interval
    assert interval.high < 0
    assert summary.metric_spec.signed(interval.mean) in finding
    worse = summary.further_findings[0]
    assert worse.startswith(f"random {MINUS} uniform: +")


def test_every_part_of_the_report_follows(regression) -> None:
    paths = write_report(regression())
    markdown, page = paths.markdown.read_text(), paths.html.read_text()
    for text in (markdown, page):
        assert "balanced accuracy" not in text
        assert "Test accuracy" not in text
        assert "Test RMSE, less is better" in text
        assert "in test RMSE, less is better" in text
        assert "965 examples, because of their targets" in text
    assert "difference to uniform (test RMSE, less is" in page, "the rest is on the next line"
    assert "<span>test RMSE</span>" in page
    assert "Test R²" in page
    (row, *_) = csv.DictReader(paths.csv.read_text().splitlines())
    assert float(row["test_rmse_mean"]) > 1000
    assert (paths.html.parent / "figures" / "learning-curves.svg").exists()


@pytest.mark.parametrize("factors", [{"method.name": ["l2rw"]}, {"data.bias.level": [0.5, 0.9]}])
@pytest.mark.parametrize("seeds", [1, 3])
def test_every_shape_of_study_has_a_report(regression, factors: dict, seeds: int) -> None:
    finding = write_report(regression(factors=factors, seeds=seeds)).finding
    assert "test RMSE" in finding
    assert "points" not in finding


def test_the_ledger_has_columns_for_errors(regression) -> None:
    row = read_study(regression()).to_pylist()[0]
    assert row["test_rmse"] > row["test_mae"] > 1000
    assert row["test_accuracy"] is None


def test_a_study_with_classes_is_still_judged_by_accuracy() -> None:
    assert headline_of({"test_rmse", HEADLINE}) == HEADLINE
    assert headline_of(()) == HEADLINE
    assert headline_of({"test_rmse"}) == "test_rmse"


def test_errors_of_any_size_show_four_digits() -> None:
    metric_spec = METRICS["test_rmse"]
    shown = [metric_spec.text(value) for value in (58312.4, 581.26, 0.012345, 0.0)]
    assert shown == ["58,312", "581.3", "0.01235", "0"]
    assert metric_spec.signed(-412.34) == f"{MINUS}412.3"
    assert metric_spec.signed_limits(Interval(-200, -512.34, 1.5, 3)) == f"{MINUS}512.3 to +1.5"
