"""What integration tests start, look for and compare."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

RESULT_COLUMNS = (
    *("trial_id", "status", "seed", "method", "train_examples", "epochs", "steps"),
    *("test_accuracy", "test_balanced_accuracy", "validation_balanced_accuracy", "validation_loss"),
    *("effective_sample_size", "zero_weight_fraction", "corrupted_auroc"),
    *("split_hash_train", "split_hash_meta", "split_hash_validation", "split_hash_test"),
)
"""What must not depend on times, worker groups or mishaps."""


def command(study: Path | str, *arguments: str, name: str = "run") -> list[str]:
    return [sys.executable, "-c", "from l2rw_ray.cli import main; main()", name, str(study), *arguments]


def descendants(pid: int, mentioning: str) -> list[int]:
    """Ids of living processes below `pid` whose command line holds a text."""
    parents: dict[int, int] = {}
    lines: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if state != "Z":
            parents[int(folder.name)], lines[int(folder.name)] = int(parent), line

    def is_below(child: int) -> bool:
        parent = parents.get(child)
        return parent is not None and (parent == pid or is_below(parent))

    return [child for child, line in lines.items() if mentioning in line and is_below(child)]


def lives(process: psutil.Process) -> bool:
    """Whether a process has not exited, collected by its parent or not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(
    condition: Callable[[], Any], what: str, timeout_s: float = 120.0, every_s: float = 0.05
) -> Any:
    """The first true value of a condition; fails the test when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every_s)
    pytest.fail(f"no {what} within {timeout_s} s")
