"""Spans are measured by clocks that nobody sets: the time of day only says when something was."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "l2rw_ray"
SET_BY_PEOPLE = {
    "time": {"time", "time_ns", "localtime", "gmtime"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}
STAMPS = {
    "data/cache.py": "how old its entries are, which the file system tells by the time of day",
    "orchestration/sharing/cluster_sharing.py": "since when runs on several nodes have waited for room",
    "orchestration/workers/trial_log.py": "when a further attempt began, in its log",
    "results/plans/plan_log.py": "when a plan was run or registered",
    "results/writer.py": "the ledger's `started_at`",
    "results/study_progress.py": "how long ago another machine renewed its claim",
    "tracking/mlflow_mirror.py": "when runs of a study and of a design point were made",
}
"""Files that may ask for the time of day, and what for."""


def times_of_day(text: str) -> list[str]:
    """Where a module asks for the time of day."""
    found = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name) if name in SET_BY_PEOPLE.get(module, ()):
                found.append(f"line {node.lineno}: {module}.{name}")
            case ast.ImportFrom(module="time", names=names):
                called = {alias.name for alias in names} & SET_BY_PEOPLE["time"]
                found += [f"line {node.lineno}: {name}" for name in sorted(called)]
    return found


@pytest.mark.parametrize(
    "text", ["import time\ntime.time()", "from time import time", "datetime.now(UTC)", "time.time_ns()"]
)
def test_the_time_of_day_is_noticed(text: str) -> None:
    assert len(times_of_day(text)) == 1
    assert not times_of_day("from time import monotonic, perf_counter\nmonotonic() - perf_counter()")


def test_only_stamps_come_from_the_time_of_day() -> None:
    found = {str(path.relative_to(PACKAGE)): times_of_day(path.read_text()) for path in PACKAGE.rglob("*.py")}
    assert {name for name, places in found.items() if places} == STAMPS.keys()
