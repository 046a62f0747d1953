"""The cluster that a run starts for itself lets nobody else in."""

import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

_ASK = """
import os, subprocess, sys
from l2rw_ray.orchestration.cluster import ray_cluster

with ray_cluster(None):
    import ray

    address = ray.get_runtime_context().gcs_address
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    nobody = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    for environment in (os.environ, nobody | {"RAY_AUTH_MODE": "disabled"}):
        print(subprocess.run(command, env=environment, capture_output=True).returncode)
"""


def test_only_who_has_the_token_is_let_in() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    done = subprocess.run(
        [sys.executable, "-c", _ASK], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["0", "1"], done.stderr
