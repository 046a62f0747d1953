"""Running studies the way a user does: the command line, in a process of its own."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from l2rw_ray.config.loading import dump_study, parse_study
from tests.integration.harness import command
from tests.object_store import CREDENTIALS

_ON_SHARED_CLUSTER = {"RAY_AUTH_MODE": "disabled"}


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of a cluster of one node that counts three cores, for runs that need none of their own."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        for name, value in (_ON_SHARED_CLUSTER | CREDENTIALS).items():
            patch.setenv(name, value)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False})
    yield cluster.address
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


@pytest.fixture
def start_run() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `l2rw-ray run` in the background; whatever is left of it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(study: Path, *arguments: str) -> subprocess.Popen[str]:
        started.append(_start(study, *arguments))
        return started[-1]

    yield start
    for process in started:
        with process:  # closes its pipe and waits, also after the test has read it all
            process.kill()


@pytest.fixture(scope="session")
def run() -> Callable[..., tuple[int, str]]:
    """Runs `l2rw-ray run` to its end; exit code and output."""

    def finish(study: Path, *arguments: str) -> tuple[int, str]:
        with _start(study, *arguments) as process:
            try:
                output, _ = process.communicate(timeout=280)
            finally:
                process.kill()
        return process.returncode, output

    return finish


def _start(study: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(study, *arguments),
        env=os.environ | (_ON_SHARED_CLUSTER if "--address" in arguments else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_heed_interrupts,
    )


def _heed_interrupts() -> None:
    """A shell that starts the tests in the background makes them, and their children, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
