"""Killed ranks and an interrupted run cost time, and change no result."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.results import read_history, read_study
from tests.integration.harness import RESULT_COLUMNS, descendants, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

Start = Callable[..., subprocess.Popen[str]]
Run = Callable[..., tuple[int, str]]
_DESIGN = {"kind": "grid", "factors": {"method.name": ["l2rw"]}}
_EPOCHS = 500
"""Enough to be under way when the first checkpoint is seen."""


def _figures(out: Path) -> tuple[list[dict], list[dict]]:
    history = read_history(out).drop_columns(["duration_s"])
    return read_study(out).select(RESULT_COLUMNS).to_pylist(), history.to_pylist()


def test_lost_ranks_and_an_interruption_change_no_result(
    write_study: Callable[..., Path], run: Run, start_run: Start, tmp_path: Path
) -> None:
    two_workers = {"workers": 2, "cpus_per_worker": 1}
    study = write_study(epochs=_EPOCHS, design=_DESIGN, seeds=1, resources=two_workers)
    code, output = run(study, "--out", str(tmp_path / "undisturbed"))
    assert code == 0, output

    out = tmp_path / "disturbed"
    process, killed = start_run(study, "--out", str(out)), set[int]()
    for rank in range(2):
        workers = _wait_for_group(process, out, killed)
        os.kill(workers[rank], signal.SIGKILL)
        killed |= set(workers)
    _wait_for_group(process, out, killed)
    _assert_second_run_is_refused(run, study, out, process.pid)
    _interrupt(process, out)
    code, output = run(study, "--out", str(out))
    assert code == 0, output
    assert _figures(out) == _figures(tmp_path / "undisturbed")


def _wait_for_group(process: subprocess.Popen[str], out: Path, before: set[int]) -> list[int]:
    """The processes of a group that has saved a checkpoint, once there is one without old ones."""

    def saved() -> list[Path]:
        return sorted(out.glob("checkpoints/*/*.pt"))

    def group() -> list[int]:
        workers = sorted(descendants(process.pid, "ray::RayTrainWorker"))
        return workers if len(workers) == 2 and not before & set(workers) else []

    earlier = saved() if before else []
    workers = wait_until(group, "worker group")
    wait_until(lambda: saved() and saved() != earlier, "checkpoint")
    return workers


def _interrupt(process: subprocess.Popen[str], out: Path) -> None:
    workers = descendants(process.pid, "ray::")
    assert workers
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 130, output
    assert "the same command goes on" in output
    (row,) = read_study(out).to_pylist()
    assert (row["status"], row["reason"], row["attempt"]) == ("stopped", "interrupted", 3)
    assert 0 < row["epochs"] < _EPOCHS
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "end of all workers", 30)


def _assert_second_run_is_refused(run: Run, study: Path, out: Path, first: int) -> None:
    code, output = run(study, "--out", str(out))
    assert code == 2
    assert f"process {first}" in output
