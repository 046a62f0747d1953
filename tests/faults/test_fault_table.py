"""The table's counts come from sessions alone, and rows that one did not reach stay."""

from pathlib import Path

import pytest

from tests.faults.fault_table import Row, keep, markdown

pytest_plugins = ["pytester"]

_KILL = Row("a kill", "all", tried=2, survived=1, at="abc")


def test_rows_say_what_was_lost_and_why_nothing_was_tried() -> None:
    assert markdown([_KILL, Row("a full disk", "most", note="only root may")]).splitlines()[2:] == [
        "| a kill | all | 2 | 1 | 1 | abc |",
        "| a full disk | most | not tried: only root may |  |  |  |",
    ]


def test_a_later_session_replaces_its_own_rows_alone(tmp_path: Path) -> None:
    table, other = tmp_path / "faults.md", Row("an interruption", "all", tried=1, survived=1, at="abc")
    keep(table, [_KILL, other])
    again = Row("a kill", "all", tried=3, survived=3, at="def")
    keep(table, [again, Row("an interruption", "all")])
    assert table.read_text() == markdown([again, other])


_BREAKING = """
import pytest

@pytest.mark.fault("a kill", "all")
@pytest.mark.parametrize("survives", [True, True, False])
def test_kill(tries, survives):
    tries.add(2)
    assert survives

@pytest.mark.fault("an early end", "all")
def test_early_end(tries):
    raise RuntimeError

@pytest.mark.fault("a full disk", "most")
def test_disk(tries):
    pytest.skip("only root may")
"""


def test_counts_come_from_what_tests_tried_and_how_they_ended(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("from tests.faults.fault_table import *")
    pytester.makeini("[pytest]\nmarkers = fault(fault, kept)")
    pytester.makepyfile(_BREAKING)
    result = pytester.runpytest("-m", "fault", "--fault-table=faults.md")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    rows = (pytester.path / "faults.md").read_text().splitlines()[2:]
    assert [row.rpartition("|")[0].rpartition("|")[0] for row in rows] == [  # without the commit
        "| a kill | all | 6 | 4 | 2 ",
        "| an early end | all | 1 | 0 | 1 ",
        "| a full disk | most | not tried: only root may |  |  ",
    ]
