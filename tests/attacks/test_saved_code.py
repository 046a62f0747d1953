"""Code within files: models, databases of searches, and what Ray keeps while a study runs."""

import json
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from l2rw_ray.config import parse_study
from l2rw_ray.config.design.search import Budget, SearchOptions
from l2rw_ray.config.design.space import FloatParameter
from l2rw_ray.errors import InputError
from l2rw_ray.models import build_model
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.planning.strategies.optuna_study import OptunaStudy
from l2rw_ray.training import SavedModel, load_model, save_model

pytestmark = pytest.mark.attack("code that runs and should not")


@pytest.fixture
def model_file(study_tree: dict, tmp_path: Path) -> Callable[..., Path]:
    """Writes a saved model, with changes to its content and to its trial."""
    config = plan_study(parse_study(study_tree))[0].config
    network = build_model("mlp", (1, 8, 8), 10)
    path = tmp_path / "models" / "a.pt"
    save_model(path, SavedModel(network, config, (1, 8, 8), 10, tuple("0123456789"), {}))
    saved = torch.load(path, weights_only=True)

    def write(trial: dict | None = None, **content: Any) -> Path:
        changed = json.loads(saved["config"]) | (trial or {})
        torch.save(saved | {"config": json.dumps(changed)} | content, path)
        return path

    return write


@pytest.mark.parametrize(
    ("trial", "shape"),
    [
        ({"model": {"name": "subprocess:run"}}, ("touch", "{sprung}")),
        ({"model": {"name": "os:mkdir"}}, ("{sprung}",)),
        ({"method": {"name": "pathlib:Path"}}, (1, 8, 8)),
        ({"model": {"name": "shutil:copytree", "options": {"dst": "{sprung}"}}}, (1, 8, 8)),
    ],
)
def test_a_model_file_calls_nothing(
    trial: dict, shape: tuple, model_file: Callable[..., Path], tmp_path: Path
) -> None:
    sprung = tmp_path / "sprung"
    shape = tuple(part.format(sprung=sprung) if isinstance(part, str) else part for part in shape)
    path = model_file(trial, input_shape=shape)
    with pytest.raises(InputError, match=r"is built by custom code, .*own_code=True if you trust it"):
        load_model(path)
    assert not sprung.exists()


@pytest.mark.parametrize("shape", [("a",), (1.5,), (True,), (-1,), (2**40,), {"a": [None]}, "text", None])
def test_a_shape_is_integers(shape: object, model_file: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"model file = .* is no size"):
        load_model(model_file(input_shape=shape), own_code=True)


@pytest.mark.parametrize(
    "content", [{"outputs": 2**30}, {"input_shape": (3, 20_000, 20_000)}, {"input_shape": (1, 80, 80)}]
)
def test_a_model_takes_no_more_memory_than_its_file(content: dict, model_file: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="MiB, which it does not hold"):
        load_model(model_file(**content))


class _Trap:
    def __init__(self, sprung: Path) -> None:
        self._sprung = sprung

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self._sprung,)


@pytest.mark.parametrize("when", ["before the run", "meanwhile"])
def test_a_search_unpickles_nothing(when: str, tmp_path: Path) -> None:
    space = {name: FloatParameter(kind="float", low=0, high=1) for name in ("optim.lr", "optim.momentum")}
    options = SearchOptions(sampler="cmaes", budget=Budget(trials=100))

    def plant() -> None:
        with sqlite3.connect(tmp_path / "optuna.db") as database:
            trap = '"' + pickle.dumps(_Trap(tmp_path / "sprung")).hex() + '"'
            for (trial,) in database.execute("select trial_id from trials").fetchall():
                database.execute("delete from trial_system_attributes where key = 'cma:optimizer:0'")
                values = (trial, "cma:optimizer:0", trap)
                database.execute(
                    "insert into trial_system_attributes (trial_id, key, value_json) values (?, ?, ?)", values
                )
        database.close()

    study = OptunaStudy(tmp_path / "optuna.db", "key", space, options, ["max"])
    for _ in range(8):
        study.tell(study.ask().number, [0.5])
    plant()
    if when == "before the run":
        study = OptunaStudy(tmp_path / "optuna.db", "key", space, options, ["max"])
    for _ in range(3):
        study.tell(study.ask().number, [0.5])
    assert not (tmp_path / "sprung").exists()


def test_a_search_keeps_no_pickles_and_gets_better(tmp_path: Path) -> None:
    space = {name: FloatParameter(kind="float", low=0, high=1) for name in ("a.x", "a.y")}
    found = []
    for _ in range(4):  # runs, each resuming the one before
        study = OptunaStudy(
            tmp_path / "o.db",
            "key",
            space,
            SearchOptions(sampler="cmaes", budget=Budget(trials=100)),
            ["min"],
        )
        for _ in range(15):
            proposal = study.ask()
            found.append(sum((value - 0.8) ** 2 for value in proposal.values.values()))
            study.tell(proposal.number, [found[-1]])
    with sqlite3.connect(tmp_path / "o.db") as database:
        keys = {key for (key,) in database.execute("select key from trial_system_attributes")}
    database.close()
    assert not [key for key in keys if "optimizer" in key]
    assert sum(found[-15:]) < sum(found[:15]) / 3


_RUN = """
import os, sys
from pathlib import Path
from l2rw_ray.orchestration.cluster.ray_cluster import ray_cluster

code = Path(sys.argv[1]) / "code"
code.mkdir()
(code / "own_code.py").write_text("here = __file__")
with ray_cluster(None, code):
    import ray

    def look():
        import own_code
        import sys

        try:
            import strange
        except ModuleNotFoundError:
            strange = None
        return own_code.here, strange is None, os.getcwd()

    file, is_not_found, cwd = ray.get(ray.remote(num_cpus=0)(look).remote())
    assert is_not_found
    for name in (file, ray._private.worker._global_node.get_session_dir_path()):
        shared = [parent for parent in Path(name).parents if parent.stat().st_mode & 0o007]
        assert Path(name).parents[-3] not in shared, name  # /tmp/l2rw_…
    print(Path(name).parents[-3])
"""


@pytest.mark.ray
def test_nobody_else_can_replace_the_code_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "cwd").mkdir()
    (tmp_path / "cwd" / "strange.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-P", "-c", _RUN, str(tmp_path)],
        cwd=tmp_path / "cwd",
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not Path(done.stdout.strip()).exists()
