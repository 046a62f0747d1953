"""What scripts read: one JSON object, with the keys that the documentation names."""

import io
import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Call

ROOT = Path(__file__).parents[2]
PUBLISHED = str(ROOT / "reports" / "bias-level")
KEYS = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "how-to" / "following.md").read_text(encoding="utf-8")))


def test_a_report_is_json(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("report", PUBLISHED, "--json", "--latex", "--out", str(tmp_path))
    found = json.loads(out)
    assert code == 0
    assert found["report"] == str(tmp_path / "report.html")
    assert found["trials"]["completed"] == 45
    assert found["comparisons"][0]["treatment"] == "l2rw"
    assert len(found["comparisons"][0]["by_setting"]) == 5
    assert {*found, *found["comparisons"][0]} <= KEYS
    assert (tmp_path / "latex" / "paper.tex").exists()


def test_latex_is_written_for_one_study(call: Call, tmp_path: Path) -> None:
    code, _, err = call("report", PUBLISHED, PUBLISHED, "--latex", "--out", str(tmp_path))
    assert code == 2
    assert err.startswith("error: --latex = True: given with several studies")


def test_a_plan_is_json(call: Call, study: Path, tmp_path: Path) -> None:
    _, out, _ = call("plan", str(study), "--out", str(tmp_path / "new"), "--json")
    found = json.loads(out)
    assert {*found, *found["rows"][0]} <= KEYS


def test_an_unanswered_question_names_its_option(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, err = call("init", str(tmp_path / "study.yaml"))
    assert code == 2
    assert "error: --on = None: not given, and the question has no answer; give it" in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_are_completed(call: Call, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    code, out, _ = call("--show-completion", shell)
    assert code == 0
    assert "l2rw-ray" in out
    assert "L2RW_RAY_COMPLETE" in out
