"""A study handed in as a job to a running cluster, the way a user does."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from l2rw_ray.results import read_study
from tests.integration.harness import command
from tests.integration.head import Head, head_node

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

_METRIC = "def share_of_zeros(output, target):\n    return float((target == 0).float().mean())\n"
_PACKAGE = {
    "__init__.py": "",
    "constants.py": "OFFSET = 10.0\n",
    "train.py": """
import torch
import torch.distributed as dist

from added.constants import OFFSET

def main(trial, step: float):
    rank = torch.tensor(float(trial.rank))
    dist.all_reduce(rank)
    for epoch in range(2):
        trial.report({"validation_loss": step / (epoch + 1)}, epoch=epoch, checkpoint={"epoch": epoch})
    trial.finish({"test_loss": OFFSET + step + rank})
""",
}
"""A package with a function whose ranks speak to each other."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def head(results: Path) -> Iterator[Head]:
    with head_node(results, cpus=1, others=1) as head:
        yield head


@pytest.fixture
def submit(head: Head) -> Callable[..., tuple[int, str]]:
    def run(study: Path, *arguments: str, **variables: str) -> tuple[int, str]:
        done = subprocess.run(
            command(study, "--address", head.dashboard, *arguments, name="submit"),
            env=os.environ | head.variables | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        return done.returncode, done.stdout

    return run


def test_job_runs_what_is_missing_with_the_studys_own_code_and_returns_what_a_run_returns(
    submit: Callable[..., tuple[int, str]], write_study: Callable[..., Path], results: Path, tmp_path: Path
) -> None:
    """Each node has one core, so that the two workers of a trial are on two nodes."""
    (tmp_path / "own_metrics.py").write_text(_METRIC)
    two_workers = {"workers": 2}
    study = write_study(
        epochs=1,
        seeds=1,
        resources=two_workers,
        design={"kind": "grid", "factors": {"optim.lr": [1e20, 0.05]}},
    )
    own = ("--set", "trial.metrics=[own_metrics:share_of_zeros]", "--set", "trial.measurement.probe_rounds=0")
    code, output = submit(study, *own)
    assert code == 1, output
    assert "job      small-" in output
    assert "ray job stop small-" in output
    assert "1 completed, 1 diverged" in output
    failed, completed = read_study(results / "small").to_pylist()
    assert failed["error"].startswith("NonFiniteError")
    assert (completed["status"], completed["workers"]) == ("completed", 2)
    assert 0 <= dict(completed["metrics"])["test_share_of_zeros"] < 1
    assert (results / "small" / "report" / "report.html").is_file()

    code, output = submit(study, *own, "--set", "design.factors={optim.lr: [0.05]}")
    assert code == 0, output
    assert "1 completed" in output
    assert read_study(results / "small").to_pylist() == [completed]


def test_job_keeps_its_folder_when_its_workers_are_on_two_nodes_of_its_machine(
    submit: Callable[..., tuple[int, str]], write_study: Callable[..., Path], results: Path
) -> None:
    """Without custom code, workers need no folder; unpacking the job's on the second node removed it."""
    grid = {"kind": "grid", "factors": {"optim.lr": [0.05]}}
    study = write_study(epochs=1, name="plain", seeds=1, resources={"workers": 2}, design=grid)
    code, output = submit(study, "--set", "trial.measurement.probe_rounds=0")
    assert code == 0, output
    assert read_study(results / "plain").num_rows == 1


def test_job_runs_a_function_of_a_package_on_ranks_on_two_nodes(
    submit: Callable[..., tuple[int, str]], results: Path, tmp_path: Path
) -> None:
    (tmp_path / "added").mkdir()
    for name, text in _PACKAGE.items():
        (tmp_path / "added" / name).write_text(text)
    study = tmp_path / "study.json"
    asked = {
        "name": "added",
        "question": "Does a larger step add more?",
        "trial": {"function": "added.train:main", "params": {"step": 0.5}},
        "metrics": {"test_loss": {"mode": "min"}, "validation_loss": {"mode": "min"}},
        "design": {"kind": "ablation", "variants": {"larger": {"step": 2.0}}},
        "seeds": 1,
        "resources": {"workers": 2},
    }
    study.write_text(json.dumps(asked))
    code, output = submit(study)
    assert code == 0, output
    rows = read_study(results / "added").to_pylist()
    assert [(row["status"], row["workers"]) for row in rows] == [("completed", 2)] * 2
    assert [dict(row["metrics"])["test_loss"] for row in rows] == [11.5, 13.0]
    assert (results / "added" / "report" / "report.html").is_file()


PROBLEM = "the cluster requires a token; none or a wrong one is set; set RAY_AUTH_MODE=token"


def test_cluster_that_wants_another_token_is_one_line(
    submit: Callable[..., tuple[int, str]], write_study: Callable[..., Path]
) -> None:
    code, output = submit(write_study(), RAY_AUTH_TOKEN="0" * 32)
    assert code == 2
    assert PROBLEM in output
    assert output.count("\n") == 1


def test_a_run_with_another_token_is_one_line_as_well(
    head: Head, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    done = subprocess.run(
        command(write_study(), "--address", head.address, "--out", str(tmp_path / "out")),
        env=os.environ | head.variables | {"RAY_AUTH_TOKEN": "0" * 32},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 2
    assert PROBLEM in done.stderr
    assert done.stderr.count("\n") == 1
