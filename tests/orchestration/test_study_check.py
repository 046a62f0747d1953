"""The check of a study in a process of its own: what it finds, and how it ends."""

import os
import sys
from pathlib import Path

import pytest

from l2rw_ray.config import PlannedTrial, StudySpec, load_study, parse_study
from l2rw_ray.config.loading import dump_study
from l2rw_ray.errors import InfrastructureError, InputError
from l2rw_ray.orchestration import study_check
from l2rw_ray.orchestration.study_check import checking
from l2rw_ray.planning.plan import plan_study

_ENDS = """
import os, sys
os.{end}
"""


def _study(tree: dict, **trial: object) -> tuple[StudySpec, tuple[PlannedTrial, ...]]:
    spec = parse_study(tree | {"trial": tree["trial"] | trial})
    return spec, plan_study(spec)[:1]


def test_an_error_of_the_check_is_raised_here(study_tree: dict, tmp_path: Path) -> None:
    spec, samples = _study(study_tree, metrics=["statistics:no_such_metric"])
    with (
        checking(samples, spec, with_data=False) as check,
        pytest.raises(InputError, match="no_such_metric"),
    ):
        check.finish()


def test_code_is_found_where_the_caller_finds_it(
    study_tree: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metric_on_the_path.py").write_text("def zero(output, target):\n    return 0.0\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    spec, samples = _study(study_tree, metrics=["metric_on_the_path:zero"])
    with checking(samples, spec, with_data=False) as check:
        check.finish()
    assert capfd.readouterr() == ("", "")


def test_code_beside_the_study_file_is_found(study_tree: dict, tmp_path: Path) -> None:
    (tmp_path / "metric_beside.py").write_text("def zero(output, target):\n    return 0.0\n")
    dump_study(parse_study(study_tree), tmp_path / "study.yaml")
    text = (tmp_path / "study.yaml").read_text().replace("metrics: []", "metrics: [metric_beside:zero]")
    (tmp_path / "study.yaml").write_text(text)
    spec = load_study(tmp_path / "study.yaml")
    with checking(plan_study(spec)[:1], spec, with_data=False) as check:
        check.finish()


@pytest.mark.parametrize(
    ("end", "message"),
    [("_exit(2)", "ended with exit code 2"), ("kill(os.getpid(), 9)", "was killed by SIGKILL")],
)
def test_a_crash_does_not_pass_for_bad_input(
    study_tree: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, message: str
) -> None:
    """oneMKL, for one, ends a process with 2 when it cannot load a library."""
    monkeypatch.setattr(study_check, "_MAIN", _ENDS.format(end=end))
    spec, samples = _study(study_tree)
    with (
        checking(samples, spec, with_data=True) as check,
        pytest.raises(InfrastructureError, match=f"the check of data and models {message}"),
    ):
        check.finish()


def test_a_check_ends_with_its_block(
    study_tree: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_check, "_MAIN", "import time; time.sleep(600)")
    spec, samples = _study(study_tree)
    with checking(samples, spec, with_data=True) as check:
        assert check.process is not None
        os.kill(check.process.pid, 0)
    assert check.process.returncode == -9


def test_a_study_on_other_nodes_without_code_of_its_own_needs_no_check(
    study_tree: dict, tmp_path: Path
) -> None:
    spec, samples = _study(study_tree)
    with checking(samples, spec, with_data=False) as check:
        assert check.process is None
        check.finish()
