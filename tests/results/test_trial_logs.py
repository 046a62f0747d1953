"""What workers left in the folder of logs, and what becomes of it in the ledger."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from l2rw_ray.events import TrialEnded, TrialStatus
from l2rw_ray.results import read_study
from l2rw_ray.results.trial_logs import found_log, log_file, stacks_file, taken_stacks


def end(writer, trial_id, status=TrialStatus.FAILED, traceback=None):
    writer(TrialEnded(trial_id, status, 0, 0, 1.0, error="over limits.duration_s", traceback=traceback))


def test_log_of_a_trial_is_that_of_the_first_rank_that_printed(tmp_path: Path) -> None:
    assert found_log(tmp_path / "none", "a", 2) is None
    assert found_log(tmp_path, "a", 2) is None
    log_file(tmp_path, "a", 0).touch()
    log_file(tmp_path, "a", 1).write_text("hello")
    assert found_log(tmp_path, "a", 2) == tmp_path / "a.rank1.log"
    assert found_log(tmp_path, "a", 1) is None
    log_file(tmp_path, "a", 0).write_text("hello")
    assert found_log(tmp_path, "a", 2) == tmp_path / "a.log"


def test_stacks_are_taken_away_whoever_left_them(tmp_path: Path) -> None:
    assert taken_stacks(tmp_path / "none", "a", 2) is None
    stacks_file(tmp_path, "a", 0).touch()
    stacks_file(tmp_path, "a", 1).write_text("here")
    assert taken_stacks(tmp_path, "a", 2) == "here"
    assert not list(tmp_path.iterdir())


def test_row_names_its_log_relative_to_the_study_folder(writer, folder, planned):
    log_file(folder.logs, planned[0].trial_id, 0).write_text("hello")
    for trial in planned[:2]:
        end(writer, trial.trial_id)
    printed, silent = read_study(folder.path)["log"].to_pylist()
    assert (folder.path / printed).read_text() == "hello"
    assert silent is None


@pytest.mark.parametrize(
    ("status", "told", "expected"),
    [
        (TrialStatus.FAILED, None, "left"),
        (TrialStatus.FAILED, "told", "told"),
        (TrialStatus.COMPLETED, None, None),
    ],
)
def test_stacks_stand_in_for_a_traceback_that_nobody_could_tell(
    writer, folder, planned, status, told, expected
):
    stacks_file(folder.logs, planned[0].trial_id, 0).write_text("left")
    end(writer, planned[0].trial_id, status, told)
    assert read_study(folder.path)["traceback"].to_pylist() == [expected]
    assert not list(folder.logs.iterdir())


def test_rows_of_before_there_were_logs_are_read(writer, folder, planned):
    end(writer, planned[0].trial_id)
    path = folder.trial_file(planned[0].trial_id)
    pq.write_table(pq.read_table(path).drop_columns(["log"]), path)
    assert read_study(folder.path)["log"].to_pylist() == [None]
