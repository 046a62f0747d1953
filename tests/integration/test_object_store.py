"""A study whose folder is on an object store, from two machines with caches of their own."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pyarrow.fs import FileSelector

from l2rw_ray.results.opening import read_study_folder
from l2rw_ray.results.reader import read_history, read_study
from tests.integration.harness import command, wait_until
from tests.object_store import BUCKET, ObjectStore, object_store

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

ADDRESS = f"s3://{BUCKET}/some/study"
FUNCTION = """
import os
from pathlib import Path
from time import sleep

def main(trial, step: float, go_on: str):
    Path(go_on).with_name("worker").write_text(str(os.getpid()))
    saved = trial.restore()
    total = saved["total"] if saved else 0.0
    for epoch in range(saved.epoch if saved else 0, 4):
        while epoch == 2 and not Path(go_on).exists():
            sleep(0.05)
        total += step
        trial.report({"validation_loss": 1 / total}, epoch=epoch, checkpoint={"total": total})
    trial.finish({"test_loss": 1 / total, "first_epoch": saved.epoch if saved else 0})
"""


@pytest.fixture
def store() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


def names_in(store: ObjectStore) -> set[str]:
    root = ADDRESS.removeprefix("s3://")
    found = store.filesystem.get_file_info(FileSelector(root, recursive=True, allow_not_found=True))
    return {file.path.removeprefix(f"{root}/") for file in found if file.is_file}


def told(name: str, *arguments: str) -> str:
    """What another command prints."""
    done = subprocess.run(command(*arguments, name=name), capture_output=True, text=True, check=True)
    return done.stdout


def test_a_study_runs_on_a_store_and_is_known_everywhere(
    write_study: Callable[..., Path],
    run: Callable[..., tuple[int, str]],
    store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "first"))
    changes = {"keep": {"models": True}, "checkpoints": {"every_epochs": 1}}
    study = write_study(seeds=1, **changes)
    code, output = run(study, "--out", ADDRESS)
    assert code == 0, output
    assert "2 completed" in output
    assert output.endswith(f"report   {ADDRESS}/report/report.html\ncompare  l2rw-ray ui {ADDRESS}\n")
    assert "s3cret" not in output

    with read_study_folder(ADDRESS) as folder:
        rows = read_study(folder.path).to_pylist()
    ids = [row["trial_id"] for row in rows]
    held = names_in(store)
    expected = {"study.yaml", "plan.json", "report/report.html", "report/report.md"}
    expected |= {f"trials/{trial_id}.parquet" for trial_id in ids}
    expected |= {f"models/{trial_id}.pt" for trial_id in ids}
    assert held >= expected
    assert not [name for name in held if name.startswith((".claims", "checkpoints", "mlflow", "optuna"))]

    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "second"))
    code, output = run(study, "--out", ADDRESS)
    assert code == 0, output
    with read_study_folder(ADDRESS) as folder:
        assert read_study(folder.path).to_pylist() == rows, "nothing was left to run"

    assert "2 done, 0 to run" in told("plan", str(study), "--out", ADDRESS)
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "third"))
    assert "2 completed" in told("status", ADDRESS)
    assert told("report", ADDRESS) == f"{ADDRESS}/report/report.html\n"


def test_a_function_goes_on_elsewhere_from_its_checkpoint_on_the_store(
    start_run: Callable[..., subprocess.Popen[str]],
    run: Callable[..., tuple[int, str]],
    cluster: str,
    store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "adding.py").write_text(FUNCTION)
    study, go_on = tmp_path / "study.json", tmp_path / "go-on"
    asked = {
        "name": "adding",
        "question": "Does a larger step end lower?",
        "trial": {"function": "adding:main", "params": {"step": 0.5, "go_on": str(go_on)}},
        "metrics": {"test_loss": {"mode": "min"}, "validation_loss": {"mode": "min"}},
        "design": {"kind": "ablation", "variants": {"larger": {"step": 1.0}}},
        "seeds": 1,
        "checkpoints": {"every_s": 0},
    }
    study.write_text(json.dumps(asked))
    on_store = ("--address", cluster, "--max-concurrent-trials", "1", "--out", ADDRESS, "--no-mlflow")
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "first"))
    process = start_run(study, *on_store)
    wait_until(lambda: [name for name in names_in(store) if name.startswith("checkpoints")], "checkpoint")
    process.send_signal(signal.SIGKILL)
    process.wait()
    worker = int((tmp_path / "worker").read_text())
    wait_until(lambda: not psutil.pid_exists(worker), "end of the worker")
    store.filesystem.delete_dir(f"{ADDRESS.removeprefix('s3://')}/.claims")  # as if 90 s had passed

    go_on.touch()
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "second"))
    code, output = run(study, *on_store)
    assert code == 0, output
    with read_study_folder(ADDRESS) as folder:
        rows, epochs = read_study(folder.path).to_pylist(), read_history(folder.path)["epoch"].to_pylist()
    assert [row["status"] for row in rows] == ["completed"] * 2
    control, larger = (dict(row["metrics"]) for row in rows)
    assert control["first_epoch"] > 0, "it went on from its checkpoint"
    assert (control["test_loss"], larger["test_loss"]) == (0.5, 0.25)
    assert epochs == [1, 2, 3, 4] * 2
    assert not [name for name in names_in(store) if name.startswith("checkpoints")]
