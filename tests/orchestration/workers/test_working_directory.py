"""A worker whose working directory is removed still trains."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_REMOVED = """
import os, shutil
shutil.rmtree(os.environ["PWD"])
{again}
from l2rw_ray.orchestration.workers.working_directory import ensure_working_directory
ensure_working_directory()
print(os.getcwd())
import torch
"""


@pytest.mark.parametrize("is_unpacked_again", [True, False])
def test_torch_can_be_imported(tmp_path: Path, is_unpacked_again: bool) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    again = 'os.mkdir(os.environ["PWD"])' if is_unpacked_again else ""
    done = subprocess.run(
        [sys.executable, "-c", _REMOVED.format(again=again)],
        cwd=folder,
        env=os.environ | {"PWD": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout.strip() == str(folder)) is is_unpacked_again


def test_a_command_says_that_its_working_directory_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    code = "import os, shutil; shutil.rmtree(os.getcwd()); from l2rw_ray.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "plan", "study.yaml"],
        cwd=folder,
        env=os.environ | {"PWD": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"error: working directory = '{folder}': it has been removed; change to a directory that exists"
    ]
