"""What is printed while a trial trains is in its log, and nothing else is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from l2rw_ray.orchestration.workers.trial_log import logged


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "a.log"


def run(log: Path, inside: str, *, attempt: int = 1, max_bytes: int = 1000) -> subprocess.CompletedProcess:
    """A process that prints before, while and after a log is open."""
    code = f"""
import ctypes, logging, os, sys, warnings
from pathlib import Path
from l2rw_ray.orchestration.workers.trial_log import logged
print("before")
with logged(Path({str(log)!r}), {attempt}, {max_bytes}) as log:
{inside}
print("after")
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)


EVERYTHING = """
    print("printed")
    print("complained", file=sys.stderr)
    warnings.warn("warned")
    logging.getLogger("any").warning("recorded")
    ctypes.CDLL(None).printf(b"from C\\n")
    os.system("echo from a child")
"""


def test_log_has_what_is_printed_inside_by_whatever_means(log: Path) -> None:
    log.parent.mkdir()
    done = run(log, EVERYTHING)
    assert (done.returncode, done.stdout, done.stderr) == (0, "before\nafter\n", "")
    text = log.read_text()
    expected = ["printed", "complained", "UserWarning: warned", "recorded", "from C", "from a child"]
    assert [part for part in expected if part not in text] == []
    assert "before" not in text
    assert "after" not in text


def test_attempts_are_separated_and_a_silent_one_leaves_no_line(log: Path) -> None:
    log.parent.mkdir()
    run(log, "    print('first')")
    run(log, "    pass", attempt=2)
    assert log.read_text() == "first\n"
    run(log, "    print('third')", attempt=3)
    first, header, third = log.read_text().splitlines()
    assert (first, third) == ("first", "third")
    assert header.startswith("--- attempt 3, 2")


def test_log_that_stays_empty_is_removed(log: Path) -> None:
    log.parent.mkdir()
    with logged(log, attempt=1):
        assert log.exists()
    assert not log.exists()


def test_what_is_too_much_is_left_out_and_says_so(log: Path) -> None:
    log.parent.mkdir()
    run(log, "    print('x' * 999)\n    print('y' * 10)\n    log.keep_bound()\n    print('z' * 10)")
    assert log.read_text() == "x" * 999 + "\n" + "\n--- truncated at 1000 bytes ---\n"


def test_bound_is_of_each_attempt_and_kept_at_its_end(log: Path) -> None:
    log.parent.mkdir()
    run(log, "    print('X' * 2000)")
    run(log, "    print('Y' * 2000)", attempt=2)
    text = log.read_text()
    assert text.count("--- truncated at") == 2
    assert (text.count("X"), text.count("Y")) == (1000, 1000)


def test_what_was_printed_before_a_process_died_is_there(log: Path) -> None:
    log.parent.mkdir()
    done = run(log, "    os.write(1, b'last words')\n    os.abort()")
    assert done.returncode < 0
    assert log.read_text() == "last words"


def test_exception_passes_and_output_is_as_before(log: Path) -> None:
    log.parent.mkdir()
    done = run(log, "    print('inside')\n    raise ValueError('no')")
    assert "ValueError: no" in done.stderr
    assert log.read_text() == "inside\n"


@pytest.mark.parametrize("is_there", [False, True])
def test_without_a_folder_to_write_to_output_stays_where_it_goes(log: Path, is_there: bool) -> None:
    if is_there:
        log.parent.touch()  # no folder
    done = run(log, "    print('inside', log)")
    assert (done.returncode, done.stdout) == (0, "before\ninside None\nafter\n")


def test_descriptors_are_given_back(log: Path) -> None:
    log.parent.mkdir()
    before = len(os.listdir("/proc/self/fd"))
    for attempt in range(3):
        with logged(log, attempt):
            os.write(1, b"x")
    assert len(os.listdir("/proc/self/fd")) == before
