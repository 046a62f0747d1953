"""The page about other tools gives the lines of code that its scripts have."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_lines_of_code_are_those_of_the_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from compare_tools import ALL, PARTS, lines_of_code

    page = (ROOT / "docs/explanation/other-tools.md").read_text(encoding="utf-8")
    rows = page.partition("| tool | lines |")[2].split("\n\n", 1)[0].splitlines()[2:]
    shown = {name: [int(count) for count in counts] for name, *counts in map(_cells, rows)}
    assert list(shown) == [tool.name for tool in ALL]
    for tool in ALL:
        lines = lines_of_code(tool)
        assert shown[tool.name] == [sum(lines.values()), *(lines[part] for part in PARTS)], tool.name


def _cells(row: str) -> list[str]:
    return re.split(r"\s*\|\s*", row.strip("| "))
