"""What tests share: a small study, and quiet defaults for the libraries underneath."""

import copy
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import invalidate_caches
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import settings

from l2rw_ray.import_path import look_in

pytest_plugins = ["tests.faults.fault_table", "tests.sharing_out"]
os.environ["OMP_NUM_THREADS"] = "1"  # small tensors: more threads only wait for each other
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
settings.register_profile("without_deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("without_deadline")

STUDY: dict[str, Any] = {
    "name": "small",
    "question": "Does it work?",
    "trial": {
        "data": {
            "source": "digits",
            "train_size": 60,
            "meta_per_class": 2,
            "validation_size": 40,
            "test_size": 60,
            "noise": {"kind": "uniform", "rate": 0.3},
        },
        "model": {"name": "mlp"},
        "method": {"name": "l2rw"},
        "optim": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "batch_size": 20, "epochs": 2},
    },
    "design": {"kind": "grid", "factors": {"method.name": ["uniform", "l2rw"]}},
    "seeds": 2,
}


@pytest.fixture(scope="session", autouse=True)
def _databases_on_no_disk() -> Iterator[None]:
    """Have databases that this process opens not wait for the disk: none has to survive a power cut."""
    connect = sqlite3.connect

    def connect_unsynchronised(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        with suppress(sqlite3.DatabaseError):  # no database: whoever reads it is told
            connection.execute("PRAGMA synchronous = OFF")
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3.dbapi2, "connect", connect_unsynchronised)
        yield


@pytest.fixture
def study_tree() -> dict[str, Any]:
    """A valid study as nested dictionaries, to be changed at will."""
    return copy.deepcopy(STUDY)


@pytest.fixture(autouse=True)
def _import_paths() -> Iterator[None]:
    """Forget the folder of the study that a test loaded."""
    yield
    look_in(None)


@pytest.fixture
def write_code(tmp_path: Path) -> Iterator[Callable[[str, str], Path]]:
    """Writes custom modules into `tmp_path`, where import paths find them until the test ends."""
    before = set(sys.modules)
    look_in(tmp_path)

    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
        invalidate_caches()
        return file

    yield write
    look_in(None)
    for name in sorted(set(sys.modules) - before, reverse=True):  # paths of the inner hang on the outer
        places = [getattr(sys.modules[name], "__file__", None), *getattr(sys.modules[name], "__path__", [])]
        if any(place and Path(place).is_relative_to(tmp_path) for place in places):
            del sys.modules[name]
