"""A process that does nothing about its parent's end, and goes with it all the same."""

import ctypes
import os
import signal
import subprocess
import sys

import psutil
import pytest

from l2rw_ray.orchestration.orphans import end_with_node
from tests.integration.harness import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children")
_CHILD = """
import os, signal, time
from l2rw_ray.orchestration.orphans import kill_with_parent
signal.signal(signal.SIGTERM, signal.SIG_IGN)
kill_with_parent(os.getppid())
print("ready", flush=True)
time.sleep(600)
"""
_PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {_CHILD!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""
_PR_GET_PDEATHSIG = 2


def test_a_process_ends_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.status() != psutil.STATUS_ZOMBIE
        os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "end", timeout_s=10)


def test_a_process_that_is_no_actor_of_rays_is_left_alone() -> None:
    end_with_node()
    found = ctypes.c_int(-1)
    assert ctypes.CDLL(None).prctl(_PR_GET_PDEATHSIG, ctypes.byref(found)) == 0
    assert found.value == 0
