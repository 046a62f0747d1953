"""SIGKILL of each kind of process of a run."""

import random

import pytest

from tests.faults.conftest import Disturb, Undisturbed
from tests.faults.fault_table import Tries
from tests.faults.processes import kill, living, titled

pytestmark = pytest.mark.timeout(3000)


@pytest.mark.fault("SIGKILL of a training worker", "all; its trial goes on from its last checkpoint")
def test_killed_worker(undisturbed: Undisturbed, disturb: Disturb, tries: Tries) -> None:
    expected, study = undisturbed(), disturb()
    process = study.start()
    kill([random.Random(0).choice(study.wait_for_training())])
    tries.add()
    study.end(process, 0)
    study.must_equal(expected)


@pytest.mark.fault(
    "SIGKILL of a whole worker group",
    "all; another one takes its trial from its last checkpoint",
)
def test_killed_group(undisturbed: Undisturbed, disturb: Disturb, tries: Tries) -> None:
    expected, study = undisturbed(2), disturb(resources={"workers": 2}, seeds=2)
    process = study.start()
    workers = study.wait_for_training()
    assert len(workers) == 2
    kill(workers)
    tries.add()
    study.end(process, 0)
    study.must_equal(expected)


@pytest.mark.fault("SIGKILL of the broker", "all; the run ends and says so, the same command goes on")
def test_killed_broker(undisturbed: Undisturbed, disturb: Disturb, tries: Tries) -> None:
    expected, study = undisturbed(), disturb("--max-concurrent-trials", "1", seeds=2)
    process = study.start()
    study.wait_for_training()
    kill(titled("ray::Broker", living(process.pid)))
    tries.add()
    output = study.end(process, 1)
    assert "the cluster failed before all trials had run" in output
    assert "run the same command again" in output
    study.complete()
    study.must_equal(expected)
