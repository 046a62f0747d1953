"""A function in designs that decide as they go."""

import json
from collections.abc import Callable
from pathlib import Path

from l2rw_ray.config import parse_study
from l2rw_ray.report import write_report
from l2rw_ray.results import StudyFolder, read_study
from tests.training.functions.in_process import run_here

CODE = """
def main(width, seed, lowest=0):
    loss = lowest + 1 / width
    return {"validation_loss": loss + 0.001 * (seed * width % 5), "test_loss": loss}
"""


def test_the_smallest_level_of_a_parameter_that_is_enough_is_found(
    tmp_path: Path, write_code: Callable[[str, str], Path]
) -> None:
    write_code("own_loop.py", CODE)
    study = {
        "name": "own",
        "question": "How wide need it be?",
        "trial": {"function": "own_loop:main", "params": {"width": 8}},
        "metrics": {"validation_loss": {"mode": "min"}, "test_loss": {"mode": "min"}},
        "design": {
            "kind": "minimum_effective",
            "factor": "width",
            "levels": [1, 2, 4, 8],
            "margin": 0.2,
            "most_seeds": 4,
        },
        "seeds": 3,
    }
    assert run_here(parse_study(study), StudyFolder(tmp_path / "out")) == 12
    assert set(read_study(tmp_path / "out")["factor.width"].to_pylist()) == {1, 2, 4, 8}
    report = write_report(tmp_path / "out").markdown.read_text()
    assert "**width 4 is enough: not worse than any other level by more than 0.2000 units" in report


def test_arms_are_tuned_alike_and_the_best_of_each_runs_on_fresh_seeds(
    tmp_path: Path, write_code: Callable[[str, str], Path]
) -> None:
    write_code("own_loop.py", CODE)
    study = {
        "name": "own",
        "question": "Is a lower bound better?",
        "trial": {"function": "own_loop:main", "params": {"width": 8}},
        "metrics": {"validation_loss": {"mode": "min"}, "test_loss": {"mode": "min"}},
        "design": {
            "kind": "tuned_comparison",
            "arms": {"main": {"set": {}}, "other": {"set": {"lowest": 0.01}}},
            "space": {"width": {"kind": "int", "low": 1, "high": 8}},
            "sampler": "random",
            "budget": {"trials": 3},
        },
        "seeds": 2,
    }
    assert run_here(parse_study(study), StudyFolder(tmp_path / "out")) == 2 * (3 + 2)
    found: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for row in read_study(tmp_path / "out").to_pylist():
        arm = "lowest" in json.loads(row["config"])["params"]
        losses = row["validation_loss"], dict(row["metrics"])["test_loss"]
        found.setdefault((row["stage"], arm), []).append(losses)
    for arm in (False, True):
        _, chosen = min(found["search", arm])
        assert [test for _, test in found["final", arm]] == [chosen] * 2
