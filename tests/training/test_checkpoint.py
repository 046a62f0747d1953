"""Checkpoints are kept and skipped as they should, and none that fails ends a trial."""

import errno
import hashlib
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from l2rw_ray.config.run_options import CheckpointPolicy
from l2rw_ray.events import CHECKPOINT_WARNING, TrialEnded, TrialStarted
from l2rw_ray.training.checkpoint import CheckpointSchedule, CheckpointStore
from tests.training.conftest import MakeTrial, results, train
from tests.training.killing import DeathError, raise_at, trained


def _store(folder: Path, keep: int = 2) -> CheckpointStore:
    return CheckpointStore(folder, "trial", CheckpointPolicy(keep=keep))


def _state(step: int) -> dict[str, Any]:
    return {"step": step, "model": {"weight": torch.full((64, 64), float(step))}}


def _steps(folder: Path) -> list[int]:
    return [int(path.name.partition("-")[0]) for path in sorted((folder / "trial").iterdir())]


def _rewritten(path: Path, state: Any) -> None:
    """A checkpoint whose name goes with its content, whatever that is."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()[:16]
    path.unlink()
    path.with_name(f"{path.name.partition('-')[0]}-{digest}.pt").write_bytes(buffer.getvalue())


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "garbage": lambda path: path.write_bytes(b"not a checkpoint"),
    "one bit": _flipped,
    "unreadable": lambda path: (path.unlink(), path.mkdir()),
    "another version": lambda path: _rewritten(path, {"format": 99, "step": 9}),
    "no dictionary": lambda path: _rewritten(path, [1, 2]),
    "other parts": lambda path: _rewritten(path, {"format": 2, "warnings": [], "step": 9}),
}


@pytest.mark.parametrize("keep", [1, 2, 3, 6])
def test_the_last_ones_are_kept(tmp_path: Path, keep: int) -> None:
    store = _store(tmp_path, keep)
    for step in (3, 6, 1000, 2000):
        store.save(_state(step))
    assert _steps(tmp_path) == [3, 6, 1000, 2000][-keep:]
    assert _store(tmp_path).load()["step"] == 2000
    assert store.warnings == []


def test_what_the_trial_did_not_go_on_from_is_not_kept(tmp_path: Path) -> None:
    store = _store(tmp_path)
    for step in (3, 6):
        store.save(_state(step))
    store.save(_state(5))
    assert _steps(tmp_path) == [3, 5]
    store.save({**_state(5), "elapsed_s": 1.0})
    assert _steps(tmp_path) == [3, 5]


def test_torch_alone_would_not_notice_a_changed_byte(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.save(_state(3))
    (path,) = (tmp_path / "trial").iterdir()
    _flipped(path)
    loaded = torch.load(path, weights_only=True)
    assert not torch.equal(loaded["model"]["weight"], _state(3)["model"]["weight"])
    assert store.load() is None


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_passed_over_for_the_one_before(
    make_trial: MakeTrial, tmp_path: Path, damage: str
) -> None:
    trial = make_trial(optim__epochs=4)
    with pytest.raises(DeathError):
        trained(trial, tmp_path, at_step=raise_at(10))
    first, last = sorted((tmp_path / trial.trial_id).iterdir())
    DAMAGES[damage](last)
    started, *_, ended = events = train(trial, checkpoints=tmp_path)
    assert isinstance(started, TrialStarted)
    assert isinstance(ended, TrialEnded)
    assert [epoch.epoch for epoch in started.history] == [1, 2]
    (warning,) = ended.warnings
    assert warning.startswith(f"{CHECKPOINT_WARNING} {last.name.partition('-')[0]}-")
    assert warning.endswith(": the trial resumes from an earlier one")
    assert results(events)[-1] == results(train(trial))[-1]
    assert first.exists()


def test_without_a_whole_one_the_trial_begins_anew(make_trial: MakeTrial, tmp_path: Path) -> None:
    trial = make_trial(optim__epochs=4)
    with pytest.raises(DeathError):
        trained(trial, tmp_path, at_step=raise_at(10))
    names = sorted(path.name for path in (tmp_path / trial.trial_id).iterdir())
    for name in names:
        _flipped(tmp_path / trial.trial_id / name)
    started, *_, ended = events = train(trial, checkpoints=tmp_path)
    assert started.history == ()
    assert ended.warnings == tuple(
        f"checkpoint {name} was skipped (damaged): the trial starts over" for name in reversed(names)
    )
    assert results(events) == results(train(trial))


def test_warnings_of_an_attempt_outlast_it(tmp_path: Path) -> None:
    store = _store(tmp_path)
    for step in (3, 6):
        store.save(_state(step))
    _flipped(max((tmp_path / "trial").iterdir()))
    second = _store(tmp_path)
    assert second.load()["step"] == 3
    second.save(_state(9))
    third = _store(tmp_path)
    assert third.load()["step"] == 9
    assert third.warnings == second.warnings != []


def test_drafts_of_dead_processes_are_swept_away(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.save(_state(3))
    draft = tmp_path / "trial" / ".000000006-0123456789abcdef.pt.1.tmp"
    draft.write_bytes(b"half")
    (tmp_path / "trial" / "notes.txt").write_text("of somebody else's")
    assert _store(tmp_path).load()["step"] == 3
    assert not draft.exists()


def test_a_full_disk_costs_one_warning_and_no_training(
    make_trial: MakeTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def is_full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    trial = make_trial(optim__epochs=4)
    undisturbed = results(train(trial))
    monkeypatch.setattr("l2rw_ray.training.checkpoint_files.os.fsync", is_full)
    events = train(trial, checkpoints=tmp_path, policy=CheckpointPolicy(every_epochs=1))
    (warning,) = events[-1].warnings
    assert "was not written (no space left on device): check the disk of " in warning
    assert results(events) == undisturbed
    assert list((tmp_path / trial.trial_id).iterdir()) == []
    assert [record.getMessage() for record in caplog.records] == [warning]


@pytest.mark.parametrize(
    ("policy", "after_s", "epoch", "is_due"),
    [
        ({}, 1.9, 900, False),
        ({}, 2.0, 1, True),
        ({"every_s": 0}, 0.0, 1, True),
        ({"every_s": None}, 1e9, 900, False),
        ({"every_s": None, "every_epochs": 3}, 1e9, 2, False),
        ({"every_s": None, "every_epochs": 3}, 0.0, 3, True),
        ({"every_s": 10, "every_epochs": 3}, 9.9, 2, False),
        ({"every_s": 10, "every_epochs": 3}, 10.0, 1, True),
        ({"every_s": 10, "every_epochs": 3}, 0.0, 3, True),
    ],
)
def test_a_checkpoint_is_due_when_the_first_interval_is_over(
    policy: dict[str, Any], after_s: float, epoch: int, is_due: bool
) -> None:
    now = [100.0]
    schedule = CheckpointSchedule(CheckpointPolicy.model_validate(policy), clock=lambda: now[0])
    for begins_at in (0, 7):  # from the start of a trial, and from one checkpoint to the next
        now[0] += after_s
        assert schedule.is_due(begins_at + epoch) == is_due
        schedule.saved(7)


@pytest.mark.parametrize("jump_s", [-86400.0, 86400.0])
def test_a_clock_that_is_set_changes_no_interval(monkeypatch: pytest.MonkeyPatch, jump_s: float) -> None:
    schedule, wall = CheckpointSchedule(CheckpointPolicy(every_s=60)), time.time()
    monkeypatch.setattr(time, "time", lambda: wall + jump_s)
    assert not schedule.is_due(1)
