"""The cluster that a run starts for itself lets nobody else in, and is gone with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.integration.harness import lives, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

_ASK = """
import os, subprocess, sys
from l2rw_ray.orchestration.cluster.ray_cluster import ray_cluster

with ray_cluster(None):
    pass
with ray_cluster(None):  # a notebook runs one study after the other
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


_HOLD = """
import signal, sys
from itertools import chain
from l2rw_ray.orchestration.cluster.ray_cluster import ray_cluster

signal.signal(signal.SIGTERM, lambda *_: print("told", flush=True))
with ray_cluster(None):
    import ray

    for _ in chain([""], sys.stdin):
        print(ray.get(ray.remote(num_cpus=0)(lambda: "up").remote()), flush=True)
"""


def environment(process: psutil.Process) -> bytes:
    return Path(f"/proc/{process.pid}/environ").read_bytes()


def test_nothing_outlives_a_killed_driver() -> None:
    pipe = subprocess.PIPE
    driver = subprocess.Popen([sys.executable, "-c", _HOLD], stdin=pipe, stdout=pipe, text=True)
    with driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "up\n"
        started = psutil.Process(driver.pid).children(recursive=True)
        assert any("raylet" in process.name() for process in started)
        unmarked = [each for each in started if b"L2RW_RAY_CLUSTER=" not in environment(each)]
        assert ["reaper.py" in " ".join(each.cmdline()) for each in unmarked] == [True], "the reaper alone"
        driver.kill()
    wait_until(lambda: not any(lives(process) for process in started), "end of the cluster", timeout_s=15)


def test_a_signal_to_the_drivers_group_spares_the_cluster() -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", _HOLD]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None
        assert driver.stdout.readline() == "up\n"
        os.killpg(driver.pid, signal.SIGTERM)
        assert driver.stdout.readline() == "told\n"
        assert driver.communicate("again\n")[0] == "up\n"
    assert driver.returncode == 0
