"""A study whose folder is on an object store, from two machines with caches of their own."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyarrow.fs import FileSelector

from l2rw_ray.results.opening import read_study_folder
from l2rw_ray.results.reader import read_study
from tests.integration.harness import command
from tests.object_store import BUCKET, ObjectStore, object_store

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

ADDRESS = f"s3://{BUCKET}/some/study"


@pytest.fixture
def store() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


def names_in(store: ObjectStore) -> set[str]:
    root = ADDRESS.removeprefix("s3://")
    found = store.filesystem.get_file_info(FileSelector(root, recursive=True))
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
