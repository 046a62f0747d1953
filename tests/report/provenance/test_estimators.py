"""A report says which estimators computed scores, and warns where unequal ones were mixed."""

from dataclasses import replace
from typing import Any

from l2rw_ray.report import summarise
from l2rw_ray.report.design_points.points import Outcome
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.report.provenance.estimators import estimator_warnings, estimators_of
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.writer import write_record
from tests.report.conftest import FakeStudy, plan_of, records_of, spec_of


def _row(estimator: str | None, error: float | None = None) -> dict[str, Any]:
    return {"status": "completed", "reason": None, "estimator_used": estimator, "certificate_error": error}


def _outcome(estimator: str | None, level: float = 0.4, **changes: Any) -> Outcome:
    setting = Setting((("data.noise.rate", level),))
    return Outcome("", 0, "l2rw", setting, {**_row(estimator), **changes})


def test_each_estimator_is_listed_with_its_trials_and_its_largest_error() -> None:
    rows = [
        _row("ghost", 3e-7),
        _row("ghost", 2e-6),
        _row("finite_difference", 0.004),
        _row("finite_difference", 0.0021),
        _row("forward_mode"),
        _row(None),
    ]
    expected = "ghost in 2 trials (error below 0.01 %), finite difference in 2 trials (error up to 0.4 %), "
    assert estimators_of(rows) == (("Scores", expected + "forward mode in 1 trial (not checked)"),)
    assert estimators_of([_row(None)]) == ()
    assert estimators_of([{"status": "completed"}]) == ()


def test_unequal_estimators_at_one_design_point_are_warned_of() -> None:
    mixed = [_outcome("finite_difference"), _outcome("finite_difference"), _outcome(None)]
    (warning,) = estimator_warnings(mixed)
    assert warning == (
        "Scores at 1 design point come from estimators that are not equally exact, first "
        f"{mixed[0].point}: finite difference in 2, not recorded in 1"
    )
    more = [*mixed, _outcome("ghost", 0.2), _outcome("finite_difference", 0.2)]
    assert estimator_warnings(more)[0].startswith("Scores at 2 design points come")


def test_equal_or_equally_exact_estimators_are_not() -> None:
    rough = "finite_difference"
    assert estimator_warnings([_outcome(rough), _outcome(rough)]) == ()
    assert estimator_warnings([_outcome(rough), _outcome("ghost", 0.2)]) == ()
    assert estimator_warnings([_outcome("ghost"), _outcome("forward_mode"), _outcome(None)]) == ()
    assert estimator_warnings([_outcome(rough), _outcome("ghost", status="failed")]) == ()


def test_it_is_in_the_report_of_a_study(tmp_path) -> None:
    study = FakeStudy()
    folder, spec = StudyFolder(tmp_path / study.name), spec_of(study)
    folder.create()
    plan = plan_of(study, spec)
    folder.write_plan(spec, plan)
    for number, record in enumerate(records_of(study, plan)):
        used = None if record.method != "l2rw" else "ghost" if number < 9 else "finite_difference"
        metrics = record.metrics if used is None else {**record.metrics, "certificate_error": 0.003}
        write_record(folder, replace(record, estimator_used=used, metrics=metrics))
    summary = summarise(folder.path)
    assert "(error up to 0.3 %)" in dict(summary.provenance)["Scores"]
    assert {trial.recorded["certificate_error"] for trial in summary.trials} == {None, 0.003}
    assert not any("not equally exact" in warning for warning in summary.warnings)
