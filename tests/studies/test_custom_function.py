"""The templates of functions and scripts: each is an ablation with a report that a plain loop reproduces."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from l2rw_ray import Trial
from l2rw_ray.config import FunctionTrial, load_study
from l2rw_ray.config.functions.signature import signature_of
from l2rw_ray.import_path import load, look_in
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.report import write_report
from l2rw_ray.results import StudyFolder, read_history, read_study
from tests.training.functions.in_process import run_here

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "studies" / "custom_function"
MAX_LINES, MAX_LINES_IN_ALL = 40, 60
"""Lines that are not blank, of a file and of a study with its function."""
SMALL = {
    "hugging_face": ["seeds=1", "trial.params.epochs=2"],
    "lightning_module": ["seeds=1", "trial.params.epochs=2"],
    "scikit_learn": ["seeds=2", "trial.params.max_iter=2"],
    "shell_script": ["seeds=2"],
    "plain_loop": ["seeds=1", "trial.params.epochs=2"],
}
KILLED = """
import os, sys
from tests.training.functions.in_process import run_here
from l2rw_ray.config import load_study
from l2rw_ray.events import EpochCompleted
from l2rw_ray.results import StudyFolder
from pathlib import Path
seen = 0
def kill(event):
    global seen
    seen += isinstance(event, EpochCompleted)
    if seen == 3:
        os._exit(9)
    return False
run_here(load_study(sys.argv[1], sys.argv[3:]), StudyFolder(Path(sys.argv[2])), kill)
"""


def _lines(file: Path) -> int:
    return sum(bool(line.strip()) for line in file.read_text().splitlines())


pytestmark = pytest.mark.filterwarnings("default")  # those of Lightning and transformers are not ours


@pytest.fixture(autouse=True)
def _looked_up_nowhere_afterwards() -> Iterator[None]:
    yield
    look_in(None)


@pytest.mark.parametrize("name", sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir()))
def test_a_template_is_short_and_has_a_report(name: str, tmp_path: Path) -> None:
    for file in (TEMPLATES / name).iterdir():
        if file.is_file():
            assert _lines(file) < MAX_LINES, file
    spec = load_study(TEMPLATES / name / "study.yaml", SMALL[name])
    assert spec.name == name.replace("_", "-")
    planned = plan_study(spec)
    assert run_here(spec, StudyFolder(tmp_path)) == len(planned)
    assert set(read_study(tmp_path)["status"].to_pylist()) == {"completed"}
    report = write_report(tmp_path)
    for metric in spec.metrics:
        assert metric.replace("_", " ")[1:] in report.markdown.read_text()


@pytest.mark.parametrize("name", ["hugging_face", "lightning_module", "plain_loop"])
def test_a_killed_study_goes_on_and_equals_a_plain_loop(name: str, tmp_path: Path) -> None:
    study = TEMPLATES / name / "study.yaml"
    changes = [*SMALL[name], "checkpoints.every_s=0"]
    assert sum(_lines(file) for file in study.parent.iterdir() if file.is_file()) < MAX_LINES_IN_ALL
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(study), str(tmp_path), *changes],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert killed.returncode == 9, killed.stderr
    spec = load_study(study, changes)
    planned = plan_study(spec)
    before = read_study(tmp_path).num_rows
    assert 0 < before < len(planned)
    assert run_here(spec, StudyFolder(tmp_path)) == len(planned) - before

    rows = {row["trial_id"]: row for row in read_study(tmp_path).to_pylist()}
    epochs = read_history(tmp_path).to_pylist()
    for trial in planned:
        alone = _in_a_plain_loop(trial.config, trial.seed)
        row = rows[trial.trial_id]
        found = dict(row["metrics"]) | {name: row[name] for name in spec.metrics if row.get(name) is not None}
        assert found == alone.metrics
        own = [epoch for epoch in epochs if epoch["trial_id"] == trial.trial_id]
        assert [epoch["validation_accuracy"] for epoch in own] == [
            epoch["validation_accuracy"] for epoch in alone.history
        ]


def _in_a_plain_loop(config: Any, seed: int) -> Trial:
    assert isinstance(config, FunctionTrial)
    function = load(config.function, "trial.function")
    params, arguments = signature_of(function, config.function, config.params).bind(config.params)
    trial = Trial(params, seed)
    trial.seed_everything()
    function(trial=trial, **arguments)
    return trial
