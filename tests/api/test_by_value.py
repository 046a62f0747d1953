"""Functions of a notebook or a script become trials, and the same code has the same name in any session."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from l2rw_ray import Grid, Study, plan_study
from l2rw_ray.api.by_value import import_path_of
from l2rw_ray.api.run_process import RunOrder
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import load, look_in

METRICS = {"test_accuracy": {"mode": "max"}}
SCRIPT = """
from l2rw_ray.api.by_value import import_path_of
import helping

SLOPE = {slope}

class Line:
    def at(self, x):
        return SLOPE * x + helping.offset()

def train(trial, lr=0.1):
    '''{comment}'''
    # {comment}
    trial.finish({{"test_accuracy": Line().at(lr)}})

print(import_path_of(train))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path / "cache"


def _path(folder: Path, *, slope: int = 2, comment: str = "one", offset: int = 1, file: str = "a.py") -> str:
    (folder / "helping.py").write_text(f"def offset():\n    return {offset}\n")
    (folder / file).write_text(SCRIPT.format(slope=slope, comment=comment))
    done = subprocess.run([sys.executable, file], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_function_of_a_script_has_a_name_by_its_code(tmp_path: Path) -> None:
    path = _path(tmp_path)
    assert path.startswith("by_value_")
    assert path.endswith(":train")
    assert path == _path(tmp_path, file="b.py")
    assert path != _path(tmp_path, slope=3)
    assert path != _path(tmp_path, offset=2)


def test_a_function_is_loaded_with_all_that_it_uses(tmp_path: Path, cache: Path) -> None:
    path = _path(tmp_path)
    (tmp_path / "helping.py").unlink()  # as on another machine
    code = f"""
        import sys
        sys.path.append({str(cache / "functions")!r})
        from l2rw_ray.import_path import load
        class Trial:
            def finish(self, metrics):
                print(metrics["test_accuracy"])
        load({path!r}, "trial.function")(Trial(), lr=3)
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "7"


def test_a_function_of_a_module_is_named_by_it() -> None:
    assert import_path_of(load) == "l2rw_ray.import_path:load"


def test_a_function_inside_another_takes_what_it_closes_over() -> None:
    def made(factor: int) -> Any:
        def train(trial: Any) -> int:
            return factor * 2

        return train

    path = import_path_of(made(3))
    assert path == import_path_of(made(3))
    assert path != import_path_of(made(4))
    assert load(path, "trial.function")(None) == 6


def test_what_cannot_be_sent_is_named() -> None:
    generator = (number for number in range(3))

    def train(trial: Any) -> int:
        return next(generator)

    with pytest.raises(ConfigError, match="it uses what cannot be sent to a worker"):
        import_path_of(train)


def test_a_study_takes_a_function_as_such(tmp_path: Path) -> None:
    def train(trial: Any, lr: float = 0.1) -> None: ...

    study = Study(
        name="own",
        trial={"function": train, "params": {"lr": 0.1}},
        metrics={"test_accuracy": {"mode": "max", "format": "percent"}},
        design=Grid(factors={"lr": [0.1, 0.2]}),
        seeds=2,
    )
    assert len(plan_study(study)) == 4
    assert "function: by_value_" in study.to_yaml()


def test_a_function_is_found_after_a_study_file_was_loaded(tmp_path: Path) -> None:
    look_in(tmp_path)

    def train(trial: Any) -> int:
        return 7

    assert load(import_path_of(train), "trial.function")(None) == 7


def test_an_order_says_where_import_paths_are_looked_up(tmp_path: Path) -> None:
    look_in(tmp_path, ["allowed"])
    study = Study(
        name="a", trial={"function": "allowed:train"}, design=Grid(factors={"lr": [1]}), metrics=METRICS
    )
    order = RunOrder(study, "out")
    assert (order.look_in, order.allowed) == (tmp_path, {"allowed"})
