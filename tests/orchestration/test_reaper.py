"""What is left of a process that was killed, down to what ignores every other signal."""

import signal
import subprocess
import sys

import psutil
import pytest

from tests.integration.harness import wait_until

_DRIVER = """
import subprocess, sys, time
from l2rw_ray.orchestration.reaper import reaped
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
with reaped():
    child = subprocess.Popen([sys.executable, "-c", "import subprocess, sys, time; print(subprocess.Popen("
        f"[sys.executable, '-c', {stubborn!r}]).pid, flush=True); time.sleep(600)"])
    time.sleep(float(sys.argv[1]))
child.kill()
"""


def _start(lasts_s: float) -> tuple[subprocess.Popen, psutil.Process]:
    """A driver, and the process at the end of those below it."""
    command = [sys.executable, "-c", _DRIVER, str(lasts_s)]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    with driver.stdout as printed:
        return driver, psutil.Process(int(printed.readline()))


def _reapers(driver: subprocess.Popen) -> list[psutil.Process]:
    return [
        child for child in psutil.Process(driver.pid).children() if "reaper.py" in " ".join(child.cmdline())
    ]


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_all_below_a_killed_driver_ends(ending: signal.Signals) -> None:
    driver, last = _start(600)
    wait_until(lambda: _reapers(driver), "reaper")
    (reaper,) = _reapers(driver)
    wait_until(lambda: reaper.num_ctx_switches().voluntary > 0 and reaper.cpu_times().user > 0, "look")
    driver.send_signal(ending)
    driver.wait()
    wait_until(lambda: not _lives(last), "end of what was below", timeout_s=20)
    wait_until(lambda: not _lives(reaper), "end of the reaper", timeout_s=20)


def test_a_driver_that_ends_by_itself_ends_its_reaper() -> None:
    driver, last = _start(2)
    wait_until(lambda: _reapers(driver), "reaper")
    (reaper,) = _reapers(driver)
    driver.wait()
    assert not _lives(reaper)
    assert _lives(last), "the driver's own business"
    last.kill()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
