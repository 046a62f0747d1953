"""A trial over a limit is ended with an error that names the limit; others are left alone."""

import subprocess
import sys
import threading
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from pathlib import Path

import pytest

from l2rw_ray.config import Limits
from l2rw_ray.events import EpochCompleted, TrialStarted
from l2rw_ray.orchestration.watchdog import TrialPosition, Watchdog, kill_if_hung, thread_stacks, watch
from l2rw_ray.orchestration.workers.limits import own_memory_bytes


class Machine:
    """A clock and a process's memory, both set by the test."""

    now, used_bytes = 50.0, 100

    def watchdog(self, limits: Limits, position: object = "in epoch 3") -> Watchdog:
        return Watchdog(limits, position, lambda: self.used_bytes, lambda: self.now)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_trial_is_over_its_time_from_the_limit_on(machine: Machine) -> None:
    watchdog = machine.watchdog(Limits(duration_s=60))
    machine.now += 59.9
    assert watchdog.breach() is None
    machine.now += 0.1
    assert watchdog.breach() == (
        "over limits.duration_s: still in epoch 3 after 60 s; raise limits.duration_s or shorten the trial"
    )


def test_trial_is_over_its_memory_above_the_limit(machine: Machine) -> None:
    watchdog = machine.watchdog(Limits(memory_bytes=200))
    machine.now += 1e9
    machine.used_bytes = 200
    assert watchdog.breach() is None
    machine.used_bytes = 201
    assert watchdog.breach() == (
        "over limits.memory_bytes: a worker holds 201 bytes in epoch 3, the limit is 200; "
        "raise limits.memory_bytes or make the trial smaller"
    )


def test_without_limits_there_is_no_breach(machine: Machine) -> None:
    watchdog = machine.watchdog(Limits())
    machine.now, machine.used_bytes = 1e9, 10**15
    assert watchdog.breach() is None


def test_pause_ends_at_the_limit(machine: Machine) -> None:
    watchdog = machine.watchdog(Limits(duration_s=10))
    assert watchdog.pause_s == 1
    machine.now += 9.75
    assert watchdog.pause_s == 0.25
    machine.now += 5
    assert watchdog.pause_s == 0
    assert machine.watchdog(Limits()).pause_s == 1


def _started(epochs_before: int) -> TrialStarted:
    history = tuple(_epoch(epoch) for epoch in range(1, epochs_before + 1))
    return TrialStarted("a", 1, 1, "cpu", "a core", 60, 3, {}, {}, history)


def _epoch(epoch: int) -> EpochCompleted:
    return EpochCompleted("a", epoch, 3 * epoch, 0.5, {})


@pytest.mark.parametrize(
    ("events", "position_text"),
    [
        ([], "preparing its data and model"),
        ([_started(0)], "in epoch 1"),
        ([_started(0), _epoch(1)], "in epoch 2"),
        ([_started(0), _epoch(1), _started(0)], "in epoch 1"),
        ([_started(2)], "in epoch 3"),
        ([_started(2), _epoch(3)], "in its last evaluation"),
    ],
)
def test_position_follows_the_events(events: list, position_text: str) -> None:
    position = TrialPosition()
    for event in events:
        position.update(event)
    assert str(position) == position_text


def test_breach_is_reported_once_in_another_thread_with_the_stacks(machine: Machine) -> None:
    breaches: list[tuple[str, str]] = []
    is_reported = threading.Event()
    training = threading.get_ident()

    def on_breach(error: str) -> None:
        breaches.append((error, thread_stacks(first=training)))
        is_reported.set()

    with watch(machine.watchdog(Limits(duration_s=1e-9)), on_breach):
        machine.now += 1
        waits_here(is_reported)
    ((error, stacks),) = breaches
    assert error.startswith("over limits.duration_s")
    assert stacks.startswith("Thread MainThread (most recent call last):\n")
    first, *others = stacks.split("\nThread ")
    assert "in waits_here" in first
    assert not any("thread_stacks" in stack for stack in [first, *others]), (
        "the watchdog's own thread is left out"
    )


def waits_here(is_reported: threading.Event) -> None:
    assert is_reported.wait(10)


def test_no_thread_is_left_after_the_end(machine: Machine) -> None:
    with watch(machine.watchdog(Limits(duration_s=1000)), pytest.fail):
        pass
    assert "watchdog" not in [thread.name for thread in threading.enumerate()]


def test_each_check_calls_on_check(machine: Machine) -> None:
    looked = threading.Event()
    with watch(machine.watchdog(Limits(duration_s=1e-9)), lambda error: None, looked.set):
        machine.now += 1
        assert looked.wait(10)


STUCK = """
import ctypes, sys
from pathlib import Path
from l2rw_ray.orchestration import watchdog
watchdog.HANG_GRACE_S = 0.1

def never_lets_go():
    ctypes.PyDLL(None).sleep(60)  # keeps the global lock

with watchdog.kill_if_hung(0.1, Path(sys.argv[1])):
    never_lets_go()
"""


def test_process_that_no_thread_can_end_ends_and_leaves_its_stacks(tmp_path: Path) -> None:
    stacks = tmp_path / "stacks"
    ended = subprocess.run([sys.executable, "-c", STUCK, str(stacks)], timeout=30)
    assert ended.returncode == 1
    assert "in never_lets_go" in stacks.read_text()


def test_stacks_that_cannot_be_kept_go_to_standard_error(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STUCK, str(tmp_path / "none" / "stacks")]
    ended = subprocess.run(command, timeout=30, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "in never_lets_go" in ended.stderr


@pytest.mark.parametrize("limit_s", [None, 1000.0])
def test_trial_that_ends_by_itself_leaves_no_stacks(tmp_path: Path, limit_s: float | None) -> None:
    with kill_if_hung(limit_s, tmp_path / "stacks"):
        pass
    assert not list(tmp_path.iterdir())


def test_memory_is_what_the_process_holds_itself() -> None:
    before = own_memory_bytes()
    held = mmap(-1, 2**26, flags=MAP_PRIVATE | MAP_ANONYMOUS)  # fresh pages, whatever was freed before
    held.write(b"\1" * 2**26)
    assert 0.9 * len(held) < own_memory_bytes() - before < 2.5 * len(held)
