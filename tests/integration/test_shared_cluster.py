"""Studies on one cluster that is there already: trials of several kinds, and two studies at once."""

import json
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from l2rw_ray.results import read_study

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

Run = Callable[..., tuple[int, str]]
METRICS = '''
import time
from pathlib import Path

import torch.distributed as dist

MEETING = Path({folder!r})


def meeting(output, target):
    """Wait until trials on one worker and trials on two have come here."""
    workers = dist.get_world_size() if dist.is_initialized() else 1
    (MEETING / str(workers)).touch()
    deadline = time.monotonic() + 120
    while not all((MEETING / name).exists() for name in ("1", "2")):
        assert time.monotonic() < deadline, "nobody else comes"
        time.sleep(0.01)
    return 0.0
'''

SLEEPER = """
from time import sleep

def main(trial, step: int):
    sleep(3)
    return {"test_loss": 0.5}
"""
TRIALS = 8


def test_failed_trial_is_a_row_and_the_others_finish_side_by_side(
    cluster: str, write_study: Callable[..., Path], study_tree: dict, run: Run, tmp_path: Path
) -> None:
    """Trials on one worker wait for one on two, and the other way round, so that both must be under way."""
    (tmp_path / "meeting").mkdir()
    (tmp_path / "own_metrics.py").write_text(METRICS.format(folder=str(tmp_path / "meeting")))
    design = {
        "kind": "grid",
        "factors": {"resources.workers": [2, 1], "optim.lr": [1e20, 0.01, 0.05]},
        "skip": [{"resources.workers": 1, "optim.lr": 1e20}],
    }
    study_tree["trial"]["metrics"] = ["own_metrics:meeting"]
    out, study = tmp_path / "out", write_study(epochs=1, design=design, seeds=1)
    code, output = run(study, "--address", cluster, "--out", str(out))
    assert code == 1, output
    assert "1 diverged" in output
    failed, *completed = read_study(out).to_pylist()
    assert failed["status"] == "diverged"
    assert failed["error"].startswith("NonFiniteError: non-finite")
    assert "Traceback" in failed["traceback"]
    assert [(row["status"], row["workers"], row["attempt"]) for row in completed] == [
        *[("completed", 2, 1)] * 2,
        *[("completed", 1, 1)] * 2,
    ]


def test_two_studies_share_a_cluster_with_room_for_one_worker_group(
    cluster: str, start_run: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Each has 24 s of trials, more than a first turn, and a worker that takes all cores."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    runs = {}
    for name in ("alpha", "beta"):
        study, out = tmp_path / f"{name}.json", tmp_path / name
        study.write_text(json.dumps(_sleeping(name)))
        runs[name] = start_run(study, "--address", cluster, "--out", str(out), "--no-mlflow")
    said = {name: run.communicate(timeout=540)[0] for name, run in runs.items()}
    assert all(run.returncode == 0 for run in runs.values()), said
    first, second = sorted((_starts(tmp_path / name) for name in runs), key=min)
    assert (min(second) - min(first)).total_seconds() < 60
    assert max(first) > min(second), "the first study has waited in its turn"
    assert any("waiting  for 3 CPUs that study" in text for text in said.values()), said
    assert any("sharing  worker groups leave after their trial" in text for text in said.values()), said


def _sleeping(name: str) -> dict[str, object]:
    """A study whose trials sleep."""
    return {
        "name": name,
        "question": "Who gets the cores?",
        "trial": {"function": "sleeper:main", "params": {"step": 0}},
        "metrics": {"test_loss": {"mode": "min"}},
        "design": {"kind": "grid", "factors": {"step": [0]}},
        "seeds": TRIALS,
        "resources": {"cpus_per_worker": 3},
    }


def _starts(out: Path) -> list[datetime]:
    rows = read_study(out).to_pylist()
    assert [row["status"] for row in rows] == ["completed"] * TRIALS
    return [row["started_at"] for row in rows]
