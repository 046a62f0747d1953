"""The table of faults: rows named by the tests' marks, counts from what the tests did and how they ended.

`pytest -m fault tests/faults --fault-table FILE` prints it and keeps it as Markdown, with the counts beside
it as JSON. Rows that a session did not reach keep the counts of the last one that did.
"""

import json
import subprocess
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

_COLUMNS = ("what happens", "what is kept", "tried", "survived", "lost", "at")


@dataclass(frozen=True)
class Row:
    """One kind of fault.

    Attributes:
        fault: What happens.
        kept: What it costs, and what not.
        tried: How many times it was made to happen.
        survived: How many of these left nothing lost, nothing twice and nothing running.
        at: Commit that was tried.
        note: Why it was not tried, where it was not.
    """

    fault: str
    kept: str
    tried: int = 0
    survived: int = 0
    at: str = ""
    note: str = ""

    @property
    def lost(self) -> int:
        return self.tried - self.survived

    def cells(self) -> tuple[str, ...]:
        """What stands in the table's columns."""
        if not self.tried:
            return (
                self.fault,
                self.kept,
                f"not tried{': ' if self.note else ''}{self.note}",
                "",
                "",
                self.at,
            )
        return (self.fault, self.kept, str(self.tried), str(self.survived), str(self.lost), self.at)


@dataclass
class Tries:
    """How many times a test has made its fault happen."""

    number: int = 0

    def add(self, number: int = 1) -> None:
        self.number += number


_ON_REQUEST = ("fault", "soak")
_TRIES, _TABLE = pytest.StashKey[Tries](), pytest.StashKey[dict[str, Row]]()


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> Tries:
    """Takes note of each fault that the test brings about."""
    return request.node.stash.setdefault(_TRIES, Tries())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-table", metavar="FILE", type=Path, help="keep the table of faults as Markdown")
    parser.addoption(
        "--undisturbed", metavar="DIR", type=Path, help="keep undisturbed ledgers for later sessions"
    )
    parser.addoption("--soak-report", metavar="FILE", type=Path, help="keep the figures of the soak as JSON")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave these tests out unless they are asked for by their mark: they take long."""
    asked = config.getoption("-m")
    left_out = [
        item
        for item in items
        if any(item.get_closest_marker(mark) and mark not in asked for mark in _ON_REQUEST)
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TABLE] = {}


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have a row for each fault that could be tried, whether it is chosen or not."""
    mark, table = item.get_closest_marker("fault"), item.config.stash.get(_TABLE, None)
    if mark is not None and table is not None:
        fault, kept = mark.args
        table.setdefault(fault, Row(fault, kept))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.CallInfo, None]:
    """Count what a test tried as survived when it passed."""
    report = (yield).get_result()
    mark, table = item.get_closest_marker("fault"), item.config.stash.get(_TABLE, None)
    is_over = report.when == "call" or (report.when == "setup" and not report.passed)
    if table is None or mark is None or not is_over:
        return
    tried = item.stash.get(_TRIES, Tries()).number or int(report.failed)  # who fails before is lost as well
    note = report.longrepr[2].removeprefix("Skipped: ") if report.skipped else ""
    row = table[mark.args[0]]
    survived = row.survived + tried * report.passed
    table[row.fault] = replace(
        row, tried=row.tried + tried, survived=survived, at=row.at or tried_commit(), note=row.note or note
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the rows of this session; keep them where the user wants the table."""
    rows = list(config.stash.get(_TABLE, {}).values())
    tried = [row for row in rows if row.at]
    if not tried:
        return
    terminalreporter.section("faults")
    for row in tried:
        counts = (
            f"tried {row.tried}, survived {row.survived}, lost {row.lost}" if row.tried else row.cells()[2]
        )
        terminalreporter.write_line(
            f"{row.fault}: {counts}", red=row.lost > 0, green=0 < row.tried == row.survived
        )
    path: Path | None = config.getoption("--fault-table", default=None)
    if path is not None:
        keep(path, rows)
        terminalreporter.write_line(f"table: {path}")


def keep(path: Path, rows: Iterable[Row]) -> None:
    """Write the table; rows that this session did not come to keep the counts of an earlier one."""
    counts = path.with_suffix(".json")
    earlier = [Row(**row) for row in json.loads(counts.read_text())] if counts.is_file() else []
    known = {row.fault: row for row in earlier}
    known |= {row.fault: row for row in rows if row.at or row.fault not in known}
    counts.write_text(json.dumps([asdict(row) for row in known.values()], indent=1) + "\n")
    path.write_text(markdown(known.values()))


def markdown(rows: Iterable[Row]) -> str:
    """The table as Markdown."""
    lines = [_COLUMNS, ("---", "---", "--:", "--:", "--:", "---"), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def tried_commit() -> str:
    """The commit that is tried, as short as Git makes it."""
    here = Path(__file__).parent
    done = subprocess.run(
        ["git", "-C", here, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
