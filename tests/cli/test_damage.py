"""Damaged files, folders that cannot be written and full disks are one line each."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.cli import app, main
from l2rw_ray.events import TrialEnded, TrialStatus
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.writer import LedgerWriter
from tests.cli.conftest import Call, write_plan


@pytest.fixture
def folder(study_tree: dict, tmp_path: Path) -> StudyFolder:
    """A study of four trials, all completed, the file of one of which is damaged."""
    folder = StudyFolder(tmp_path / "out")
    planned = write_plan(folder, study_tree)
    ledger = LedgerWriter(folder, {trial.trial_id: trial for trial in planned}, versions={}, commit=None)
    for trial in planned:
        metrics = {"test_balanced_accuracy": 0.5, "validation_balanced_accuracy": 0.5}
        ledger(TrialEnded(trial.trial_id, TrialStatus.COMPLETED, 1, 3, 7.0, metrics))
    os.truncate(folder.trial_file(planned[0].trial_id), 100)
    return folder


def test_plan_and_status_count_a_damaged_file_as_missing(
    call: Call, study: Path, folder: StudyFolder, caplog: pytest.LogCaptureFixture
) -> None:
    code, output, _ = call("plan", str(study), "--out", str(folder.path), "--json")
    assert (code, json.loads(output)["done"]) == (0, 3)
    code, output, _ = call("status", str(folder.path))
    assert (code, "1 missing" in output) == (0, True)
    (line,) = (record.getMessage() for record in caplog.records)
    assert "is damaged" in line


def _error(number: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (errno.EROFS, "read-only file system; choose another --out"),
        (errno.EACCES, "permission denied; choose another --out"),
        (errno.ENOSPC, "no space left on device; free the disk, or choose another --out"),
    ],
)
def test_a_folder_that_takes_no_files_is_refused_before_anything_starts(
    call: Call,
    study: Path,
    folder: StudyFolder,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    line: str,
) -> None:
    def start(*_: object, **__: object) -> None:
        pytest.fail("the run has begun")

    monkeypatch.setattr("l2rw_ray.results.folder.TemporaryFile", _error(number))
    monkeypatch.setattr("l2rw_ray.cli.run.run_missing_trials", start)
    code, output, error = call("run", str(study), "--out", str(folder.path))
    assert (code, output) == (2, "")
    assert error.startswith("error: study folder = ")
    assert error.endswith(f": {line}\n")
    assert error.count("\n") == 1


@pytest.mark.parametrize(("number", "is_caught"), [(errno.ENOSPC, True), (errno.ECHILD, False)])
def test_a_disk_that_is_full_anywhere_is_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, number: int, is_caught: bool
) -> None:
    def fail(*, standalone_mode: bool) -> None:
        raise OSError(number, os.strerror(number), "importances.json")

    monkeypatch.setattr(app, "app", fail)
    if is_caught:
        code, _, error = call()
        assert code == 1
        assert error == (
            "error: importances.json: no space left on device; free disk space, then run the command again\n"
        )
    else:
        with pytest.raises(OSError, match="importances"):
            main()
