"""Running studies the way a user does: the command line, in a process of its own."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from l2rw_ray.config.loading import dump_study, parse_study
from tests.integration.harness import command


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster of one node that counts three cores, for runs that need none of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # runs inherit it
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False})
        yield cluster
        cluster.shutdown()


@pytest.fixture
def write_study(study_tree: dict, tmp_path: Path) -> Callable[..., Path]:
    """Writes the small study with changes, given as whole sections of it."""

    def write(epochs: int = 2, **sections: Any) -> Path:
        study_tree["trial"]["optim"]["epochs"] = epochs
        path = tmp_path / "study.yaml"
        dump_study(parse_study(study_tree | sections), path)
        return path

    return write


def _heed_interrupts() -> None:
    """A shell that starts the tests in the background makes them, and their children, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def start_run() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `l2rw-ray run` in the background; whatever is left of it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(study: Path, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command(study, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_heed_interrupts,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture
def run(start_run: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str]]:
    """Runs `l2rw-ray run` to its end; exit code and output."""

    def finish(study: Path, *arguments: str) -> tuple[int, str]:
        process = start_run(study, *arguments)
        output, _ = process.communicate(timeout=280)
        return process.returncode, output

    return finish
