"""Designs that decide as they go."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from l2rw_ray.results import StudyFolder, read_history, read_study
from tests.faults.fault_table import Tries
from tests.integration.harness import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

Run = Callable[..., tuple[int, str]]
LEARNING_RATE = {"kind": "float", "low": 0.0001, "high": 1.0, "log": True}
FUNCTION = """
from time import sleep

from l2rw_ray import Verdict

def main(trial, ceiling: float):
    for epoch in range(60):
        sleep(0.05)
        accuracy = ceiling * (epoch + 1) / 60
        if trial.report({"validation_accuracy": accuracy}, epoch=epoch) is Verdict.STOP:
            return
    trial.finish({"test_accuracy": ceiling})
"""


@pytest.mark.fault(
    "SIGKILL of a search of 30 trials after its twelfth", "all; the same command ends with 30, none twice"
)
def test_a_killed_search_keeps_what_it_has_and_ends_with_its_budget(
    write_study: Callable[..., Path],
    start_run: Callable[..., subprocess.Popen[str]],
    run: Run,
    tries: Tries,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    design = {"kind": "search", "space": {"optim.lr": LEARNING_RATE}, "budget": {"trials": 30}}
    study = write_study(design=design, seeds=1)
    process = start_run(study, "--out", str(out))
    wait_until(lambda: len(list((out / "trials").glob("*.parquet"))) >= 12, "twelfth trial")
    process.send_signal(signal.SIGKILL)
    process.wait()
    tries.add()
    kept = {path: path.stat().st_mtime_ns for path in (out / "trials").glob("*.parquet")}
    asked = [row.trial_id for row in StudyFolder(out).read_plan()]
    assert 12 <= len(kept) < 30

    code, output = run(study, "--out", str(out))
    assert code == 0, output
    rows = read_study(out).to_pylist()
    assert [row["status"] for row in rows] == ["completed"] * 30
    assert len({row["factor.optim.lr"] for row in rows}) == 30, "none twice"
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "what was there is not run again"
    assert [row["trial_id"] for row in rows][: len(asked)] == asked, "what was under way goes on"
    assert "best of 30 configurations" in output


def test_a_trial_without_prospect_is_stopped_and_frees_its_group(
    write_study: Callable[..., Path], run: Run, cluster: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    design: dict[str, Any] = {
        "kind": "search",
        "space": {"optim.lr": LEARNING_RATE},
        "sampler": "random",
        "budget": {"trials": 6},
        "stopping": {"name": "asha", "grace_epochs": 20, "reduction_factor": 2},
    }
    one_group = ("--address", cluster, "--max-concurrent-trials", "1", "--out", str(out))
    code, output = run(write_study(epochs=200, design=design, seeds=1), *one_group)
    assert code == 0, output
    rows = read_study(out).to_pylist()
    stopped = [row for row in rows if row["status"] == "stopped"]
    assert len(rows) == 6
    assert stopped, "with one worker group every trial after the first is ranked against those before"
    assert all(row["reason"] == "scheduler" and 20 <= row["epochs"] < 200 for row in stopped)
    assert all(row["epochs"] == 200 for row in rows if row["status"] == "completed")
    epochs = read_history(out)["trial_id"].to_pylist()
    assert all(epochs.count(row["trial_id"]) == row["epochs"] for row in rows)
    assert "stopped" in output


def test_a_function_without_prospect_is_stopped_as_well(run: Run, cluster: str, tmp_path: Path) -> None:
    (tmp_path / "ceilings.py").write_text(FUNCTION)
    study, out = tmp_path / "study.json", tmp_path / "out"
    design = {
        "kind": "search",
        "space": {"ceiling": {"kind": "float", "low": 0.1, "high": 0.9}},
        "sampler": "random",
        "budget": {"trials": 6},
        "stopping": {"name": "asha", "grace_epochs": 10, "reduction_factor": 2},
    }
    asked = {
        "name": "ceilings",
        "question": "How high may it be?",
        "trial": {"function": "ceilings:main", "params": {"ceiling": 0.5}, "epochs": 60},
        "metrics": {"test_accuracy": {"mode": "max"}, "validation_accuracy": {"mode": "max"}},
        "design": design,
        "seeds": 1,
    }
    study.write_text(json.dumps(asked))
    one_group = ("--address", cluster, "--max-concurrent-trials", "1", "--out", str(out))
    code, output = run(study, *one_group, "--no-mlflow")
    assert code == 0, output
    rows = read_study(out).to_pylist()
    stopped = [row for row in rows if row["status"] == "stopped"]
    completed = [row for row in rows if row["status"] == "completed"]
    assert len(stopped) + len(completed) == 6
    assert stopped, "with one worker group every trial after the first is ranked against those before"
    assert all(row["reason"] == "scheduler" and 10 <= row["epochs"] < 60 for row in stopped)
    assert all(row["epochs"] == 60 for row in completed)
    ceilings = {row["trial_id"]: row["factor.ceiling"] for row in rows}
    best = max(ceilings, key=ceilings.__getitem__)
    assert best in {row["trial_id"] for row in completed}
    assert all(row["test_accuracy"] == ceilings[row["trial_id"]] for row in completed)
