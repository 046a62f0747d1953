"""A study handed in as a job to a running cluster, the way a user does."""

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
