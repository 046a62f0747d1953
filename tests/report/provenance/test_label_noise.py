"""A report says how given labels differ from verified ones, and that selection saw noisy labels."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from l2rw_ray.events import ConfusionMatrix, KnownNoise
from l2rw_ray.report import write_report
from l2rw_ray.report.design_points.points import Outcome
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.report.provenance.label_noise import label_noise_tables, noisy_selection
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.writer import write_record
from tests.report.conftest import FakeStudy, plan_of, records_of, spec_of

NOISE = KnownNoise(300, 60, ConfusionMatrix(("cat", "dog"), ((120, 20), (40, 120))), None, 100, 25)


def _outcome(labels: str, size: int = 40) -> Outcome:
    config = json.dumps({"data": {"validation_labels": labels}})
    row = {"status": "completed", "reason": None, "config": config, "split_sizes": [("validation", size)]}
    return Outcome("", 0, "l2rw", Setting(()), row)


def test_selection_by_verified_labels_needs_no_warning() -> None:
    assert noisy_selection([_outcome("verified")]) == ()
    assert noisy_selection([Outcome("", 0, "l2rw", Setting(()), {"config": '{"data": {}}'})]) == ()


def test_selection_by_given_labels_is_warned_of() -> None:
    (warning,) = noisy_selection([_outcome("given"), _outcome("given", 50)])
    assert warning.startswith(
        "Selection saw noisy labels: nobody verified those of the 40 or 50 validation ex"
    )
    (warning,) = noisy_selection([_outcome("given"), _outcome("verified")])
    assert warning.startswith("Selection saw noisy labels in 1 trial of 2: nobody")


def _written(path: Path, **changes: Any) -> Path:
    study = FakeStudy()
    folder, spec = StudyFolder(path / study.name), spec_of(study)
    plan = plan_of(study, spec)
    folder.create()
    folder.write_plan(spec, plan)
    for record in records_of(study, plan):
        write_record(folder, replace(record, **changes))
    return folder.path


def test_a_study_without_both_labels_has_no_table(tmp_path: Path) -> None:
    assert label_noise_tables(_written(tmp_path)) == ()


def test_rate_and_matrix_are_in_the_report(tmp_path: Path) -> None:
    path = _written(tmp_path, known_noise=NOISE)
    rates, matrix = label_noise_tables(path)
    (row,) = rates.rows
    assert [cell.text for cell in row.cells] == ["300", "60", "20.0 %", "100", "25.0 %"]
    assert row.cells[2].detail == "15.9 to 24.9"
    assert [[cell.text for cell in row.cells] for row in matrix.rows] == [["120", "20"], ["40", "120"]]
    text = write_report(path).markdown.read_text()
    assert "Known noise of the labels" in text
    assert "Given labels by verified class" in text
    assert "Only examples of which it is known whether their label is right count." in text


@pytest.mark.parametrize("known", [0, 10])
def test_targets_have_no_matrix(tmp_path: Path, known: int) -> None:
    rates, *others = label_noise_tables(
        _written(tmp_path, known_noise=KnownNoise(20, 5, None, 1.5, known, 0))
    )
    assert not others
    assert rates.columns[1] == "given another"
    assert rates.columns[-1] == "of them over 1 SD off", "which any other target is not"
    assert "more than one standard deviation of the train targets off" in rates.note
    assert [cell.text for cell in rates.rows[0].cells] == [
        "20",
        "5",
        "25.0 %",
        "1.5",
        f"{known}",
        "0.0 %" if known else "–",
    ]


def test_the_warning_is_at_the_top_of_the_report(tmp_path: Path) -> None:
    config: Mapping[str, Any] = json.loads(spec_of(FakeStudy()).trial.model_dump_json())
    noisy = json.dumps({**config, "data": {**config["data"], "validation_labels": "given"}})
    path = _written(tmp_path, config=noisy, split_sizes={"validation": 200})
    text = write_report(path).markdown.read_text()
    assert text.index("Selection saw noisy labels") < text.index("## ")
