"""Each promise of SECURITY.md names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
PROMISES = [
    line
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith(("| input |", "| asset |"))
]
NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.split(" | ")[0].strip("| "))
def test_a_promise_is_tested(promise: str) -> None:
    named = NAMED.findall(promise)
    assert named, promise
    for file, test in named:
        path = ROOT / file if "/" in file else ROOT / "tests" / "attacks" / file
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tests = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not test or test in tests, f"{file} has no {test}"


def test_every_attack_is_of_a_promise() -> None:
    named = {test for _, test in NAMED.findall(TEXT)}
    for path in Path(__file__).parent.glob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        attacks = "mark.attack" in path.read_text(encoding="utf-8") and path != Path(__file__)
        for node in ast.walk(tree) if attacks else ():
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert node.name in named | HONEST, f"{path.name}::{node.name}"


HONEST = {
    "test_what_is_no_secret_is_shown",
    "test_a_store_of_this_folder_stays",
    "test_a_folder_behind_a_link_that_the_user_gives_is_fine",
}
"""Tests of what stays allowed."""
