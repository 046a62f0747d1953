"""A study with code of its own, from a folder that workers do not see, on a private Ray cluster."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.report import write_report
from l2rw_ray.results import StudyFolder, read_history, read_study
from l2rw_ray.results.study_progress import read_progress
from l2rw_ray.tracking.mirror import mirror_folder

pytestmark = pytest.mark.timeout(600)

EXAMPLE = Path(__file__).parents[2] / "studies" / "custom"
METRIC = "true_class_probability"
SMALL = ("seeds=1", "trial.optim.epochs=2", "trial.method.options.warm_up_epochs=1")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "asked")
    return tmp_path / "asked" / "noisy_spirals.yaml"


@pytest.mark.ray
def test_example_runs_with_its_own_code_and_reads_without_it(
    study: Path, run: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "spirals.py").write_text("raise RuntimeError('not the one beside the study')")
    monkeypatch.chdir(tmp_path / "here")
    out = tmp_path / "out"
    small = [part for assignment in SMALL for part in ("--set", assignment)]
    two_workers = ["--set", "resources.workers=2", "--set", "trial.model.options.width=8", "--out", str(out)]
    code, output = run(study, *small, *two_workers)
    assert code == 0, output
    assert "4 completed" in output

    rows = read_study(out).to_pylist()
    arm = "spirals.methods:SmallestLosses"
    assert [row["method"] for row in rows] == ["uniform", "l2rw", arm, arm]
    for row in rows:
        assert (row["status"], row["workers"]) == ("completed", 2)
        config, metrics = json.loads(row["config"]), dict(row["metrics"])
        own = {name: config["model"][name] for name in ("name", "options", "weights")}
        assert own == {"name": "spirals.models:build", "options": {"width": 8}, "weights": None}
        assert config["data"]["source"] == "spirals.data:load"
        assert 0 < metrics[f"test_{METRIC}"] < 1
    assert [row["effective_sample_size"] for row in rows[2:]] == pytest.approx([50, 70], abs=2)
    history = read_history(out).to_pylist()
    assert [epoch["epoch"] for epoch in history] == [1, 2] * 4
    assert all(0 < epoch[f"validation_{METRIC}"] < 1 for epoch in history)

    shutil.rmtree(study.parent)
    assert read_progress(StudyFolder(out)).counts["completed"] == 4
    assert write_report(out).html.is_file()
    assert mirror_folder(StudyFolder(out)).trials == 4
    logged = sqlite3.connect(out / "mlflow.db").execute("select distinct key from metrics").fetchall()
    assert {f"validation_{METRIC}", f"test_{METRIC}"} <= {key for (key,) in logged}


def test_code_that_cannot_be_used_is_one_line_before_anything_starts(
    study: Path, run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    models = study.parent / "spirals" / "models.py"
    models.write_text(models.read_text().replace("nn.Linear(width, num_classes)", "nn.Linear(width, 7)"))
    code, output = run(study, "--out", str(tmp_path / "out"))
    assert code == 2
    preparing, error = output.splitlines()
    assert preparing == "noisy-spirals  preparing"
    assert (
        "model.name = 'spirals.models:build': for 2 examples of 3 classes its output is shape [2, 7]" in error
    )
    assert not (tmp_path / "out" / "plan.json").exists()
