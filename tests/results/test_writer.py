import errno
from dataclasses import replace
from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.events import EpochCompleted, TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.results import read_history, read_study
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.schema import SCHEMA


def started(trial_id, attempt=1, history=(), elapsed_s=0.0):
    hashes = {"train": "a", "meta": "b", "validation": "c", "test": "d"}
    return TrialStarted(
        trial_id, attempt, 1, "cpu", "2 × CPU", 900, 3, hashes, {"0": 90, "1": 810}, history, elapsed_s
    )


def epoch(trial_id, number, value=0.5):
    return EpochCompleted(trial_id, number, 10 * number, 1.5, {"validation_balanced_accuracy": value})


def ended(trial_id, status=TrialStatus.COMPLETED, **more):
    return TrialEnded(trial_id, status, 3, 30, 4.5, **more)


def test_a_trial_becomes_one_row(writer, folder, planned):
    trial = planned[2]
    figures = {"test_accuracy": 0.8, "peak_memory_bytes": 1e9, "test_loss": 0.4}
    for event in (
        started(trial.trial_id),
        *(epoch(trial.trial_id, number) for number in (1, 2, 3)),
        ended(trial.trial_id, metrics=figures, warnings=("wobbly: hold it",)),
    ):
        writer(event)
    (row,) = read_study(folder.path).to_pylist()
    expected = {
        "warnings": ["wobbly: hold it"],
        "trial_id": trial.trial_id,
        "status": "completed",
        "method": "l2rw",
        "seed": 0,
        "attempt": 1,
        "test_accuracy": 0.8,
        "peak_memory_bytes": 1e9,
        "metrics": [("test_loss", 0.4)],
        "split_hash_meta": "b",
        "class_counts": [("0", 90), ("1", 810)],
        "versions": '{"torch": "2.11"}',
        "commit": "abc123",
        "factor.method.name": "l2rw",
        "validation_loss": None,
        "epochs": 3,
        "steps": 30,
    }
    assert {name: row[name] for name in expected} == expected
    assert row["config"] == trial.config.model_dump_json()


def test_an_attempt_that_resumes_keeps_only_the_epochs_it_builds_on(writer, folder, planned):
    trial_id = planned[0].trial_id
    for event in (
        started(trial_id),
        epoch(trial_id, 1, 0.1),
        epoch(trial_id, 2, 0.2),
        started(trial_id, attempt=2, history=(epoch(trial_id, 1, 0.1),)),
        epoch(trial_id, 2, 0.3),
        ended(trial_id),
    ):
        writer(event)
    history = read_history(folder.path)
    assert history["epoch"].to_pylist() == [1, 2]
    assert history["validation_balanced_accuracy"].to_pylist() == [0.1, 0.3]
    assert read_study(folder.path)["attempt"].to_pylist() == [2]


def test_histories_of_several_trials_keep_their_factors(writer, folder, planned):
    for trial, epochs in ((planned[2], 1), (planned[0], 2)):
        writer(started(trial.trial_id))
        for number in range(1, epochs + 1):
            writer(epoch(trial.trial_id, number, 0.1 * number))
        writer(ended(trial.trial_id))
    history = read_history(folder.path).to_pylist()
    assert [(row["factor.method.name"], row["epoch"]) for row in history] == [
        ("uniform", 1),
        ("uniform", 2),
        ("l2rw", 1),
    ]
    assert [row["trial_id"] for row in history] == [planned[0].trial_id] * 2 + [planned[2].trial_id]


def test_a_trial_resumed_by_a_later_run_began_with_its_first(writer, folder, planned):
    trial_id = planned[0].trial_id
    writer(started(trial_id, history=(epoch(trial_id, 1),), elapsed_s=60.0))
    writer(ended(trial_id))
    (row,) = read_study(folder.path).to_pylist()
    assert row["started_at"] + timedelta(seconds=60) == writer._clock()
    assert read_history(folder.path)["epoch"].to_pylist() == [1]


def test_an_attempt_from_the_start_forgets_the_earlier_one(writer, folder, planned):
    trial_id = planned[0].trial_id
    for event in (started(trial_id), epoch(trial_id, 1), started(trial_id, attempt=2), ended(trial_id)):
        writer(event)
    assert read_history(folder.path).num_rows == 0


def test_the_estimator_is_that_of_the_latest_epoch(writer, folder, planned):
    trial_id = planned[2].trial_id
    used = [replace(epoch(trial_id, 1), estimator_used="ghost")]
    used += [replace(epoch(trial_id, 2), estimator_used="forward_mode")]
    for event in (started(trial_id), *used, ended(trial_id, metrics={"certificate_error": 2e-7})):
        writer(event)
    writer(ended(planned[0].trial_id))
    plain, reweighted = read_study(folder.path).to_pylist()
    assert (reweighted["estimator_used"], reweighted["certificate_error"]) == ("forward_mode", 2e-7)
    assert (plain["estimator_used"], plain["certificate_error"]) == (None, None)


def test_a_failure_before_the_start_is_a_row(writer, folder, planned):
    writer(ended(planned[0].trial_id, TrialStatus.FAILED, error="DataError: gone", traceback="Traceback …"))
    (row,) = read_study(folder.path).to_pylist()
    assert (row["status"], row["error"], row["reason"]) == ("failed", "DataError: gone", None)
    assert (row["device"], row["train_examples"], row["traceback"]) == (None, None, "Traceback …")
    assert row["started_at"] + timedelta(seconds=4.5) == writer._clock()


def test_a_stopped_trial_keeps_its_reason_apart_from_errors(writer, folder, planned):
    writer(started(planned[0].trial_id))
    writer(ended(planned[0].trial_id, TrialStatus.STOPPED, error="scheduler"))
    (row,) = read_study(folder.path).to_pylist()
    assert (row["status"], row["error"], row["reason"]) == ("stopped", None, "scheduler")
    result = trial_results(folder.path)[planned[0].trial_id]
    assert (result.status, result.reason, result.is_final) == ("stopped", "scheduler", True)


def test_a_crash_while_writing_leaves_no_trace(writer, folder, planned, monkeypatch):
    def crash(table, path, **options):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("l2rw_ray.results.writer.pq.write_table", crash)
    with pytest.raises(StudyFolderError, match=rf"{planned[0].trial_id}.*: not written \(disk full\); free "):
        writer(ended(planned[0].trial_id))
    assert list(folder.trials.iterdir()) == []


def test_a_full_disk_is_told_in_one_line_and_keeps_what_was_finished(writer, folder, planned, monkeypatch):
    def is_full(descriptor):
        raise OSError(errno.ENOSPC, "odd words")

    writer(ended(planned[0].trial_id))
    with monkeypatch.context() as patch:
        patch.setattr("l2rw_ray.results.atomic.os.fsync", is_full)
        with pytest.raises(StudyFolderError) as caught:
            writer(ended(planned[1].trial_id))
    line = str(caught.value)
    assert f"{planned[1].trial_id}.parquet': not written (no space left on device); free the disk" in line
    assert "\n" not in line
    assert list(trial_results(folder.path)) == [planned[0].trial_id]
    assert [path.name for path in folder.trials.iterdir()] == [f"{planned[0].trial_id}.parquet"]
    writer(ended(planned[1].trial_id))
    assert len(trial_results(folder.path)) == 2


def test_the_file_has_exactly_the_declared_schema(writer, folder, planned):
    writer(ended(planned[0].trial_id))
    assert pq.read_schema(folder.trial_file(planned[0].trial_id)).remove_metadata().equals(SCHEMA)
