"""SIGKILL of the driver at any moment, and Ctrl-C."""

import random
import signal
import subprocess
import time

import pytest

from tests.faults.conftest import Disturb, Undisturbed
from tests.faults.disturbed import DisturbedStudy
from tests.faults.fault_table import Tries
from tests.integration.harness import wait_until

pytestmark = pytest.mark.timeout(6000)
_KILLS = 10
"""Per test, of two."""
_EXIT_S = 30.0
"""How long processes of a private cluster may take to exit once their driver is gone."""


@pytest.mark.fault(
    "SIGKILL of the driver, at random moments", "all; the same command goes on from the last checkpoints"
)
@pytest.mark.parametrize("seed", range(2))
def test_killed_driver(undisturbed: Undisturbed, disturb: Disturb, tries: Tries, seed: int) -> None:
    """Half of the moments are counted from the start, half from the first sign of training."""
    expected, study, moments = undisturbed(), disturb(), random.Random(seed)
    while tries.number < _KILLS:
        process = study.start()
        if moments.random() < 0.5:
            study.wait_for_workers()
        try:
            code = process.wait(moments.uniform(0, 20))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            tries.add()
            study.must_have_ended(_EXIT_S)
        else:  # it was complete before
            assert code == 0, study.output
            study.must_equal(expected)
            study = disturb()
    study.complete()
    study.must_equal(expected)


def _interrupt(study: DisturbedStudy) -> subprocess.Popen:
    process = study.start()
    study.wait_for_training()
    process.send_signal(signal.SIGINT)
    return process


@pytest.mark.fault("Ctrl-C", "all; records are finished, nothing is left running, the same command goes on")
def test_interrupted_once(undisturbed: Undisturbed, disturb: Disturb, tries: Tries) -> None:
    expected, study = undisturbed(), disturb("--max-concurrent-trials", "1", seeds=1)
    process = _interrupt(study)
    tries.add()
    assert "Run the same command again to resume" in study.end(process, 130)
    study.must_have_ended(_EXIT_S)
    study.complete()
    study.must_equal(expected)


@pytest.mark.fault(
    "Ctrl-C twice", "all that was recorded before; nothing is left running, the same command goes on"
)
@pytest.mark.parametrize("is_cleaning_up", [False, True])
def test_interrupted_twice(
    undisturbed: Undisturbed, disturb: Disturb, tries: Tries, is_cleaning_up: bool
) -> None:
    """While trials come to their next report, and while the cluster is shut down."""
    expected, study = undisturbed(), disturb("--max-concurrent-trials", "1", seeds=1)
    process = _interrupt(study)
    if is_cleaning_up:
        wait_until(lambda: not study.workers(), "end of the workers", every_s=0.01)
    else:
        time.sleep(0.1)  # two key presses
    process.send_signal(signal.SIGINT)
    tries.add()
    study.end(process, 130)
    assert "Traceback" not in study.output
    study.must_have_ended(_EXIT_S)
    study.complete()
    study.must_equal(expected)
