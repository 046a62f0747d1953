"""The script for Slurm, checked without Slurm: its two nodes are namespaces of this machine."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from l2rw_ray.results import read_study

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "clusters" / "slurm.sh"
STAND_INS = Path(__file__).parent / "slurm"
JOB = {
    "SLURM_JOB_ID": str(os.getpid()),
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_CPUS_PER_TASK": "1",
    "SLURM_GPUS_ON_NODE": "0",
}
STUDY = {
    "name": "allotted",
    "question": "Does a job reach both of its nodes?",
    "trial": {
        "data": {"source": "digits", "train_size": 100},
        "model": {"name": "mlp"},
        "method": {"name": "uniform"},
        "optim": {"name": "sgd", "lr": 0.1, "epochs": 1, "batch_size": 20},
        "measurement": {"probe_rounds": 0},
    },
    "design": {"kind": "grid", "factors": {"optim.lr": [0.1, 1e20]}},
    "resources": {"workers": 2},
    "seeds": 1,
}


def _allocates() -> bool:
    """Whether this process may make namespaces."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return not subprocess.run([STAND_INS / "allocation", "true"], capture_output=True).returncode


def test_bash_and_shellcheck_accept_the_script() -> None:
    subprocess.run(["bash", "-n", SCRIPT], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", SCRIPT, *STAND_INS.iterdir()], check=True)


def test_without_a_job_it_says_how_it_is_used() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    done = subprocess.run(["bash", SCRIPT, "study.yaml"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: sbatch ")


def test_a_node_is_one_task_and_nobody_else_is_on_it() -> None:
    options = re.findall(r"^#SBATCH (--[\w-]+)(?:=(\S+))?$", SCRIPT.read_text(), re.MULTILINE)
    assert dict(options).items() >= {"--ntasks-per-node": "1", "--exclusive": "", "--requeue": ""}.items()


@pytest.mark.ray
@pytest.mark.timeout(600)
@pytest.mark.skipif("not _allocates()", reason="this process may not make network namespaces")
def test_workers_of_one_trial_are_on_both_nodes_and_the_job_ends_as_its_study(tmp_path: Path) -> None:
    """Each node has one core and a trial two workers; one of the two trials diverges."""
    study, out, options = tmp_path / "study.yaml", tmp_path / "out", tmp_path / "options"
    YAML().dump(STUDY, study)
    environment = os.environ | JOB
    environment |= {
        "PATH": f"{STAND_INS}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "L2RW_RAY_VENV": str(Path(sys.executable).parents[1]),
        "SRUN_OPTIONS": str(options),
        "TMPDIR": "/tmp",  # sockets need short paths
    }
    command = [STAND_INS / "allocation", "bash", SCRIPT, study, "--out", out, "--no-mlflow"]
    try:
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    finally:
        shutil.rmtree(f"/tmp/ray-{JOB['SLURM_JOB_ID']}", ignore_errors=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert options.read_text().split() == ["--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=1"]
    assert "On worker node" not in done.stdout
    (log,) = tmp_path.glob("l2rw-ray-*-node1.log")
    assert "On worker node. Connecting to Ray cluster at 10.77.0.1:" in log.read_text()
    rows = [(row["status"], row["workers"]) for row in read_study(out).to_pylist()]
    assert rows == [("completed", 2), ("diverged", 2)]
