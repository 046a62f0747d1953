"""What is left of a process that has ended or was killed, down to what ignores every other signal."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from tests.integration.harness import lives, wait_until

_SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
_STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
_DRIVER = f"""
import os, subprocess, sys
from l2rw_ray.orchestration.cluster.reaper import reaped
outside = subprocess.Popen({_SLEEP!r})
with reaped() as marks:
    os.environ.update(marks)
    start = [sys.executable, "-c", "import subprocess, sys; print(subprocess.Popen("
        "[sys.executable, '-c', {_STUBBORN!r}], start_new_session=True, stdout=subprocess.DEVNULL).pid)"]
    orphan = subprocess.run(start, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    print(outside.pid, orphan, flush=True)
    sys.stdin.readline()
print("left", flush=True)
sys.stdin.readline()
"""


class Driver:
    """A process that has started one outside the block, and one within that has no parent any more."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", _DRIVER]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        self.outside, self.orphan = map(psutil.Process, map(int, self.line().split()))

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")

    def reaper(self) -> psutil.Process:
        (reaper,) = wait_until(
            lambda: [
                child
                for child in psutil.Process(self.process.pid).children()
                if "reaper.py" in " ".join(child.cmdline())
            ],
            "reaper",
        )
        return reaper


@pytest.fixture
def driver() -> Iterator[Driver]:
    started = Driver()
    yield started
    for process in (started.process, started.outside, started.orphan):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    started.process.communicate()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_driver_has_started_ends(driver: Driver, ending: signal.Signals) -> None:
    reaper = driver.reaper()
    driver.process.send_signal(ending)
    wait_until(lambda: not lives(driver.orphan), "end of what the driver has started", timeout_s=20)
    wait_until(lambda: not lives(reaper), "end of the reaper", timeout_s=20)
    assert lives(driver.outside), "the driver's own business"


def test_a_reaper_that_was_killed_is_made_up_for(driver: Driver) -> None:
    reaper = driver.reaper()
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        reaper.send_signal(ending)
    with pytest.raises(psutil.TimeoutExpired):
        reaper.wait(0.5)
    reaper.kill()
    driver.go_on()
    assert driver.line() == "left\n"
    assert not lives(driver.orphan)


def test_what_was_started_within_the_block_ends_with_it(driver: Driver) -> None:
    reaper = driver.reaper()
    driver.go_on()
    assert driver.line() == "left\n"
    assert not lives(reaper)
    assert not lives(driver.orphan)
    assert lives(driver.outside)
