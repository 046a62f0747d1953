"""What a study found, from a published study that needs no run."""

from base64 import b64decode
from pathlib import Path

import pytest

from l2rw_ray import StudyResults, read_study
from l2rw_ray.errors import InputError, StudyFolderError
from l2rw_ray.report import summarise

REPORTS = Path(__file__).parents[2] / "reports"


@pytest.fixture(scope="module")
def results() -> StudyResults:
    return StudyResults(REPORTS / "bias-level")


def test_tables_are_those_of_the_ledger(results: StudyResults) -> None:
    assert results.to_arrow().equals(read_study(REPORTS / "bias-level"))
    assert len(results.to_pandas()) == results.counts["completed"] == 45
    assert set(results.history()["trial_id"].to_pylist()) == set(results.to_arrow()["trial_id"].to_pylist())


def test_a_comparison_of_the_report_has_its_statistics(results: StudyResults) -> None:
    reported = summarise(REPORTS / "bias-level").pooled[0]
    found = results.compare("l2rw", "uniform")
    interval, evidence = reported.difference.interval, reported.evidence
    assert interval is not None
    assert evidence is not None
    assert (found.difference, found.low, found.high, found.n) == (
        interval.mean,
        interval.low,
        interval.high,
        interval.n,
    )
    assert (found.p, found.p_adjusted, found.family) == (evidence.p, evidence.p_corrected, 1)
    assert repr(found) == results.finding
    assert len(found.by_setting) == 5
    assert found.by_setting[0].where == "dominance of one class 50\N{NO-BREAK SPACE}%"


def test_any_two_levels_are_compared(results: StudyResults) -> None:
    there, back = results.compare("l2rw", "uniform"), results.compare("uniform", "l2rw")
    assert there.difference is not None
    assert back.difference == pytest.approx(-there.difference)
    assert back.low == pytest.approx(-(there.high or 0))
    levels = results.compare(0.9, 0.5, metric="test_accuracy")
    assert levels.control == "dominance of one class 50\N{NO-BREAK SPACE}%"
    assert levels.family == 4
    assert levels.as_dict()["by_setting"][0]["n"] == 3


@pytest.mark.parametrize(
    ("treatment", "control", "options", "line"),
    [
        (
            "l2rw",
            "nothing",
            {},
            "control = 'nothing': no level of the same factor; use two of method.name: uniform",
        ),
        ("gone", "nothing", {}, "treatment = 'gone': no level"),
        ("l2rw", "l2rw", {}, "treatment = 'l2rw': it is the control"),
        (
            "l2rw",
            "uniform",
            {"factor": "optim.lr"},
            "factor = 'optim.lr': no factor of this study; use one of",
        ),
        ("l2rw", "uniform", {"metric": "speed"}, "metric = 'speed': no metric of this study; use one of"),
    ],
)
def test_what_cannot_be_compared_is_named(
    results: StudyResults, treatment: str, control: str, options: dict[str, str], line: str
) -> None:
    with pytest.raises(InputError) as caught:
        results.compare(treatment, control, **options)
    assert str(caught.value).startswith(line)


def test_a_notebook_shows_the_answer_its_interval_and_a_plot(results: StudyResults) -> None:
    shown = results._repr_html_()
    assert results.finding.replace("+", "+") in shown
    assert "data:image/svg+xml;base64," in shown
    assert "p (corrected)" in shown
    assert repr(results).splitlines()[1] == "45 completed"


def test_a_comparison_shows_its_sentence_and_its_differences(results: StudyResults) -> None:
    found = results.compare("l2rw", "uniform")
    shown = found._repr_html_()
    assert shown.startswith(f"{found.text}.")
    drawn = b64decode(shown.partition("base64,")[2].partition("'")[0]).decode()
    assert "l2rw − uniform (points)" in drawn
    assert drawn.count("dominance of one class") == len(found.by_setting)
    assert "drawn" not in found.as_dict()


def test_a_report_is_written_where_it_is_wanted(results: StudyResults, tmp_path: Path) -> None:
    assert results.report(tmp_path).html == tmp_path / "report.html"


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyFolderError):
        StudyResults(tmp_path)


def test_a_study_that_kept_no_examples_has_no_suspects(results: StudyResults) -> None:
    with pytest.raises(InputError, match="examples"):
        results.suspects()
