"""Processes that do not train do without torch: half a gigabyte, and libraries that can crash."""

import subprocess
import sys

import pytest

_IMPORT = "import sys, {module}; sys.exit('torch' in sys.modules)"


@pytest.mark.parametrize(
    "module",
    [
        "l2rw_ray.cli.run",
        "l2rw_ray.cli.report",
        "l2rw_ray.orchestration.execution",
        "l2rw_ray.orchestration.session",
        "l2rw_ray.orchestration.study_check",
        "l2rw_ray.orchestration.broker.actor",
        "l2rw_ray.orchestration.workers.actor",
        "l2rw_ray.tracking.mlflow_mirror",
    ],
)
def test_torch_stays_out(module: str) -> None:
    command = [sys.executable, "-c", _IMPORT.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
