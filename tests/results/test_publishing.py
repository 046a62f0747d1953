"""A published study is read like the study it was made of, and a run goes on from it."""

import os

import pyarrow.parquet as pq
import pytest

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.events import TrialEnded, TrialStatus
from l2rw_ray.results import read_confusion, read_history, read_step_series, read_study
from l2rw_ray.results.publishing import pack_study
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.status import count_statuses, missing_trials
from l2rw_ray.results.study_progress import read_progress
from l2rw_ray.results.writer import LedgerWriter
from tests.results.damages import DAMAGES, end

FILES = ["notes.md", "plan.json", "study.yaml", "trials/all.parquet"]


def _files(folder):
    paths = (path for path in folder.path.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder.path).as_posix() for path in paths)


def _fail(writer, trial_id, traceback=None):
    writer(TrialEnded(trial_id, TrialStatus.FAILED, 1, 10, 1.5, {}, "ValueError: no", traceback))


def test_a_published_study_is_few_files_that_read_the_same(ledger, planned, tmp_path):
    ledger.notes.write_text("Only three epochs.")
    packed = pack_study(ledger, tmp_path / "published")
    assert _files(packed) == FILES
    for read in (read_study, read_history, read_step_series, read_confusion):
        assert read(packed.path).equals(read(ledger.path))
    assert trial_results(packed.path) == trial_results(ledger.path)
    assert read_progress(packed) == read_progress(ledger)
    assert missing_trials(planned, trial_results(packed.path)) == []


def test_a_study_folder_is_packed_in_place(ledger):
    ledger.notes.write_text("Only three epochs.")
    before = read_history(ledger.path)
    assert pack_study(ledger, ledger.path / ".").path == ledger.path
    assert _files(ledger) == [".lock", *FILES]
    assert read_history(ledger.path).equals(before)
    with ledger.lock(), pytest.raises(StudyFolderError, match="in use by another run"):
        pack_study(ledger, ledger.path)


def test_a_run_goes_on_from_a_published_study(folder, writer, planned, tmp_path):
    end(writer, planned[0].trial_id)
    _fail(writer, planned[1].trial_id)
    packed = pack_study(folder, tmp_path / "published")
    packed.create()
    assert missing_trials(planned, trial_results(packed.path), retry_failed=True) == planned[1:]
    go_on = LedgerWriter(packed, {trial.trial_id: trial for trial in planned}, {}, None)
    for trial in planned[1:]:
        end(go_on, trial.trial_id)
    assert count_statuses(packed.path) == {
        "completed": 4,
        "stopped": 0,
        "diverged": 0,
        "failed": 0,
        "missing": 0,
    }
    again = pack_study(packed, packed.path)
    assert _files(again) == [".lock", "plan.json", "study.yaml", "trials/all.parquet"]
    assert count_statuses(again.path)["completed"] == 4


def test_folders_of_the_machine_are_left_out_of_tracebacks(folder, writer, planned, tmp_path):
    ours, theirs = "l2rw_ray/training/trainer.py", "site-packages/torch/nn.py"
    lines = [f'File "{place}", line 1' for place in (f"/home/me/{ours}", f"/opt/lib/{theirs}", "model.py")]
    _fail(writer, planned[0].trial_id, "\n".join(lines))
    packed = pack_study(folder, tmp_path / "published")
    (row,) = pq.read_table(packed.trials / "all.parquet").to_pylist()
    assert row["traceback"].splitlines() == [
        f'File "{ours}", line 1',
        f'File "{theirs}", line 1',
        'File "model.py", line 1',
    ]


def test_a_damaged_trial_file_is_not_published_and_stays(ledger, planned, tmp_path, caplog):
    damaged = ledger.trial_file(planned[0].trial_id)
    DAMAGES["garbage"](damaged)
    assert len(trial_results(pack_study(ledger, tmp_path / "published").path)) == 3
    assert len(caplog.records) == 1
    pack_study(ledger, ledger.path)
    assert {path.name for path in ledger.trials.iterdir()} == {"all.parquet", damaged.name}


def test_a_folder_that_cannot_be_written_is_one_line(ledger, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, os.strerror(28))

    (tmp_path / "file").touch()
    with pytest.raises(StudyFolderError, match="a file, no folder; choose another --out"):
        pack_study(ledger, tmp_path / "file")
    monkeypatch.setattr("l2rw_ray.results.publishing.pq.write_table", refuse)
    with pytest.raises(StudyFolderError, match=r"published study = .*free the disk, or choose another --out"):
        pack_study(ledger, tmp_path / "full")
    assert len(list(ledger.trials.iterdir())) == 4
