"""How far a study is, as its folder shows it to others than its run."""

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.study_progress import read_progress
from tests.planning.playing import record

METRIC = "validation_balanced_accuracy"


@pytest.fixture
def planned(study_tree):
    return plan_study(parse_study(study_tree))


@pytest.fixture
def folder(study_tree: dict, planned, tmp_path: Path) -> StudyFolder:
    folder = StudyFolder(tmp_path / "study")
    folder.create()
    folder.write_plan(parse_study(study_tree), planned)
    return folder


def test_nothing_is_known_of_a_study_that_has_not_begun(folder):
    progress = read_progress(folder)
    assert (progress.done, progress.planned, progress.counts["missing"]) == (0, 4, 4)
    assert (progress.best, progress.failure, progress.run, progress.left_s) == (None, None, None, None)


def test_the_best_trial_and_the_last_failure_are_named(folder, planned):
    for trial, value in zip(planned[:2], (0.25, 0.75), strict=True):
        record(folder, trial, metrics={METRIC: value})
    record(folder, planned[2], status="failed", error="ValueError: no", log="logs/x.log")
    progress = read_progress(folder)
    assert (progress.best.trial, progress.best.metric, progress.best.value) == (
        "uniform · seed 1",
        METRIC,
        0.75,
    )
    assert (progress.failure.error, progress.failure.log) == ("ValueError: no", "logs/x.log")
    assert progress.counts == {"completed": 2, "stopped": 0, "diverged": 0, "failed": 1, "missing": 1}


def test_a_run_is_active_while_its_process_lives(folder, planned):
    (folder.logs / f"{planned[0].trial_id}.log").touch()
    with folder.lock():
        progress = read_progress(folder)
        assert progress.run == f"process {os.getpid()} on {socket.gethostname()}"
        assert progress.under_way == ("uniform · seed 0",)
    assert read_progress(folder).run is None
    assert read_progress(folder).under_way == ()


@pytest.mark.parametrize(("host", "is_active"), [(socket.gethostname(), False), ("elsewhere", True)])
def test_the_lock_of_a_killed_run_counts_only_where_nobody_can_tell(folder, host, is_active, monkeypatch):
    def gone(_number: int, _signal: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", gone)
    (folder.path / ".lock").write_text(f"process 12345 on {host}")
    assert (read_progress(folder).run is not None) == is_active


def test_the_time_left_is_that_of_the_latest_trials_without_pauses(folder, planned):
    for number, trial in enumerate(planned[:3]):
        began = datetime(2024, 5, 1, hour=number // 2, second=10 * number, tzinfo=UTC)
        record(folder, trial, duration_s=10.0, started_at=began)
    with folder.lock():
        assert read_progress(folder).left_s == pytest.approx(10.0)
