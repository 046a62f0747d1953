"""A damaged file of the ledger costs its trial, which a run trains again, and nothing else."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report import write_report
from l2rw_ray.results import read_confusion, read_history, read_step_series, read_study
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.repair import repair_folder
from l2rw_ray.results.schema import SCHEMA
from l2rw_ray.results.status import missing_trials
from l2rw_ray.results.study_progress import read_progress
from tests.results.damages import DAMAGES


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_counts_as_missing_and_is_told_of_once(ledger, planned, caplog, damage):
    path = ledger.trial_file(planned[1].trial_id)
    DAMAGES[damage](path)
    before = path.read_bytes()
    for read in (read_study, read_history, read_step_series, read_confusion, trial_results):
        read(ledger.path)
    assert read_progress(ledger).counts["missing"] == 1
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith(f"trial file {path} is damaged (")
    assert line.endswith("it counts as missing; `l2rw-ray run` sets it aside and runs its trial again")
    assert read_study(ledger.path).num_rows == 3
    assert missing_trials(planned, trial_results(ledger.path)) == [planned[1]]
    assert path.read_bytes() == before, "only a run touches it"


def test_a_file_of_another_trial_is_damaged(ledger, planned, caplog):
    shutil.copy(ledger.trial_file(planned[0].trial_id), ledger.trial_file(planned[1].trial_id))
    assert planned[1].trial_id not in trial_results(ledger.path)
    assert "it holds another trial" in caplog.text


def test_a_report_is_written_without_it(ledger, planned, tmp_path, caplog):
    DAMAGES["garbage"](ledger.trial_file(planned[1].trial_id))
    paths = write_report(ledger.path, tmp_path / "report")
    assert "1 planned trial of 4 not run yet" in paths.markdown.read_text()
    assert len(caplog.records) == 1


def test_a_file_that_may_not_be_read_is_not_taken_for_damaged(ledger, planned, monkeypatch):
    def refuse(path, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("l2rw_ray.results.trial_files.pq.ParquetFile", refuse)
    for read in (trial_results, read_study):
        with pytest.raises(StudyFolderError, match=r"unreadable .*make it readable"):
            read(ledger.path)
    with pytest.raises(StudyFolderError):
        repair_folder(ledger)
    assert len(list(ledger.trials.glob("*.parquet"))) == 4


@pytest.fixture
def packed(ledger):
    """The same ledger with all its trials in one file, as of a published study."""
    paths = sorted(ledger.trials.glob("*.parquet"))
    together = pa.concat_tables([pq.read_table(path) for path in paths])
    for path in paths:
        path.unlink()
    pq.write_table(together, ledger.trials / "all.parquet")
    return ledger


def test_a_file_of_many_trials_is_read_like_theirs(packed, planned):
    assert read_study(packed.path).num_rows == 4
    assert repair_folder(packed) == []
    assert missing_trials(planned, trial_results(packed.path)) == []


@pytest.mark.parametrize("trial_id", [f"{digit}{15 * '0'}" for digit in "09af"])
def test_the_own_file_of_a_trial_comes_before_a_file_of_many(packed, trial_id):
    rows = pq.read_table(packed.trials / "all.parquet").to_pylist()[:1]
    for path, status in (
        (packed.trials / "all.parquet", "failed"),
        (packed.trial_file(trial_id), "completed"),
    ):
        row = rows[0] | {"trial_id": trial_id, "status": status}
        pq.write_table(pa.Table.from_pylist([row], schema=SCHEMA), path)
    assert {key: result.status for key, result in trial_results(packed.path).items()} == {
        trial_id: "completed"
    }
    assert read_study(packed.path, everything=True)["status"].to_pylist() == ["completed"]


def test_a_damaged_file_of_many_trials_is_told_of_once_and_set_aside_by_a_run(packed, planned, caplog):
    path = packed.trials / "all.parquet"
    DAMAGES["garbage"](path)
    for read in (read_study, trial_results):
        read(packed.path)
    read_progress(packed)
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith(f"trial file {path} is damaged (")
    assert line.endswith(
        "its trials count as missing; restore it, or `l2rw-ray run` sets it aside and runs them again"
    )
    (line,) = repair_folder(packed)
    assert line.endswith("now all.parquet.damaged, and its trials count as missing")
    assert missing_trials(planned, trial_results(packed.path)) == list(planned)
