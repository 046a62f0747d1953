import errno
import os
import subprocess
import sys

import pytest

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.folder import StudyFolder


def test_plan_and_study_read_back_as_written(folder, spec, planned):
    rows = folder.read_plan()
    assert [(row.trial_id, row.seed, dict(row.factors)) for row in rows] == [
        (trial.trial_id, trial.seed, dict(trial.factors)) for trial in planned
    ]
    assert rows[0].resources == planned[0].resources
    assert folder.read_spec() == spec


def test_a_new_plan_replaces_the_old_one(folder, spec, planned):
    folder.write_plan(spec, planned[:1])
    assert [row.trial_id for row in folder.read_plan()] == [planned[0].trial_id]


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_without_a_study_is_refused_in_one_line(tmp_path, made):
    path = tmp_path / "nothing"
    if made:
        path.mkdir()
    with pytest.raises(StudyFolderError) as caught:
        StudyFolder(path).read_plan()
    assert "\n" not in str(caught.value)
    assert ("no study.yaml" if made else "no such folder") in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[{}]", "[1]", "3"])
def test_a_broken_plan_is_refused(folder, text):
    folder.plan_file.write_text(text)
    with pytest.raises(StudyFolderError, match=r"plan\.json is unreadable"):
        folder.read_plan()


def test_a_missing_plan_is_refused(folder):
    folder.plan_file.unlink()
    with pytest.raises(StudyFolderError, match=r"no plan\.json"):
        folder.read_plan()


def test_a_broken_study_is_refused(folder):
    folder.study_file.write_text("name: [")
    with pytest.raises(StudyFolderError, match=r"study\.yaml is unusable"):
        folder.read_spec()


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    for refuse in (StudyFolder(tmp_path / "taken").create, StudyFolder(tmp_path / "taken").check_not_a_file):
        with pytest.raises(StudyFolderError, match="a file, no folder; choose another --out"):
            refuse()


def test_a_folder_that_may_not_be_looked_into_is_refused(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("pathlib.Path.stat", refuse)
    for asked in (StudyFolder(tmp_path / "out").create, StudyFolder(tmp_path / "out").check_not_a_file):
        with pytest.raises(StudyFolderError, match="permission denied; choose another --out"):
            asked()


def test_the_lock_names_its_holder_and_is_released(folder):
    with folder.lock(), pytest.raises(StudyFolderError, match=r"in use by another run \(process \d+ on "):
        folder.lock().__enter__()
    with folder.lock():
        pass


def test_the_lock_dies_with_its_process(folder):
    program = (
        "import os, sys; from pathlib import Path; from l2rw_ray.results.folder import StudyFolder;"
        "StudyFolder(Path(sys.argv[1])).lock().__enter__(); os._exit(9)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(folder.path)], check=False)
    assert ended.returncode == 9
    with folder.lock():
        pass
