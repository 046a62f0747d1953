"""Each of two ranks is killed in turn, then the run is interrupted, while a second run knocks."""

import signal
import subprocess

import psutil
import pytest

from tests.faults.conftest import Disturb
from tests.faults.disturbed import DisturbedStudy
from tests.faults.fault_table import Tries
from tests.faults.processes import kill
from tests.integration.harness import command, wait_until

pytestmark = pytest.mark.timeout(3000)
_DESIGN = {"kind": "grid", "factors": {"method.name": ["l2rw"]}}


@pytest.mark.fault(
    "SIGKILL of each of two ranks in turn, then Ctrl-C", "all; its one trial ends with the same figures"
)
def test_each_rank_killed_in_turn(disturb: Disturb, tries: Tries) -> None:
    calm, study = (disturb(epochs=500, design=_DESIGN, seeds=1, resources={"workers": 2}) for _ in range(2))
    calm.complete()
    process, killed = study.start(), set[psutil.Process]()
    for rank in range(2):
        workers = _next_group(study, killed)
        kill([workers[rank]])
        tries.add()
        killed |= set(workers)
    second = subprocess.run(command(study.study, "--out", str(study.out)), capture_output=True, text=True)
    assert second.returncode == 2
    assert f"process {process.pid}" in second.stderr
    _next_group(study, killed)
    process.send_signal(signal.SIGINT)
    tries.add()
    assert "Run the same command again to resume" in study.end(process, 130)
    study.complete()
    study.must_equal(calm.out)


def _next_group(study: DisturbedStudy, killed: set[psutil.Process]) -> list[psutil.Process]:
    """The workers of a group that has saved a checkpoint, none of which was killed before."""
    before = _checkpoints(study) if killed else set()

    def workers() -> list[psutil.Process]:
        found = sorted(study.workers(), key=lambda worker: worker.pid)
        return found if len(found) == 2 and not killed & set(found) else []

    wait_until(workers, "worker group", 600.0)
    wait_until(lambda: _checkpoints(study) - before, "checkpoint", 600.0)
    return workers()


def _checkpoints(study: DisturbedStudy) -> set[str]:
    return {path.name for path in (study.out / "checkpoints").rglob("*.pt")}
