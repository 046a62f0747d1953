"""Attacks: folders, files and packages from strangers. `make attacks` prints which ones hold."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.config.loading import dump_study
from tests.cli.conftest import call  # noqa: F401  # a fixture

_outcomes: Counter[tuple[str, bool]] = Counter()


@pytest.fixture
def study(study_tree: dict, tmp_path: Path) -> Callable[..., Path]:
    """Writes the small study with changes to its trial, in a folder of its own."""

    def write(**trial: object) -> Path:
        for section, change in trial.items():
            known = study_tree["trial"].get(section)
            study_tree["trial"][section] = known | change if isinstance(known, dict) else change
        path = tmp_path / "strange" / "study.yaml"
        path.parent.mkdir(exist_ok=True)
        dump_study(parse_study(study_tree), path)
        return path

    return write


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Runs a command line in a process of its own; exit code and what it printed."""

    def run(*arguments: str, cwd: Path = tmp_path, **variables: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-P", "-c", "from l2rw_ray.cli import main; main()", *arguments],
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        return done.returncode, done.stdout

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    report = yield
    mark = item.get_closest_marker("attack")
    if mark is not None and (report.when == "call" or report.failed):
        _outcomes[mark.args[0], report.passed] += 1
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _outcomes or hasattr(terminalreporter.config, "workerinput"):
        return
    kinds = sorted({kind for kind, _ in _outcomes})
    write, width = terminalreporter.write_line, max(map(len, kinds))
    write(f"{'attacks':<{width}}  held  broke")
    for kind in kinds:
        write(f"{kind:<{width}}  {_outcomes[kind, True]:>4}  {_outcomes[kind, False]:>5}")
    held = sum(_outcomes[kind, True] for kind in kinds)
    write(f"{'all':<{width}}  {held:>4}  {_outcomes.total() - held:>5}")
