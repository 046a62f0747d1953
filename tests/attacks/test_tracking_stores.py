"""MLflow databases of strangers: where they send files, what they let be served, whom they call."""

import os
import shutil
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from l2rw_ray.errors import TrackingError
from l2rw_ray.results import StudyFolder
from l2rw_ray.tracking.mirror import mirror_folder
from l2rw_ray.tracking.new_database import create_database
from l2rw_ray.tracking.own_store import keep_own_store
from l2rw_ray.tracking.server import QUIET, Listening, serve_ui
from l2rw_ray.tracking.uri import local_store
from tests.tracking.finished_study import finished_study

pytestmark = pytest.mark.attack("tracking stores that lead elsewhere")

EXPERIMENT = (
    "insert into experiments (experiment_id, name, artifact_location, lifecycle_stage) "
    "values (7, 'small', {}, 'active')"
)
RUN = (
    "insert into runs (run_uuid, experiment_id, artifact_uri, lifecycle_stage) values ('a', 7, {}, 'active')"
)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database, which takes seconds to make."""
    folder = tmp_path_factory.mktemp("store")
    with warnings.catch_warnings():  # of MLflow's own table definitions
        warnings.filterwarnings("ignore", "The ``noload`` loader", DeprecationWarning)
        create_database(local_store(folder))
    return folder / "mlflow.db"


@pytest.fixture
def home(empty_store: Path, tmp_path: Path) -> Path:
    (tmp_path / "home" / "mlartifacts").mkdir(parents=True)
    shutil.copy(empty_store, tmp_path / "home" / "mlflow.db")
    return tmp_path / "home"


def _change(home: Path, *statements: str) -> None:
    with closing(sqlite3.connect(home / "mlflow.db")) as opened:
        for statement in statements:
            opened.execute(statement)
        opened.commit()


def _names(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


@pytest.mark.parametrize(
    "place",
    [
        *("http://evil.example/take", "https://evil.example", "s3://evil/x", "ftp://evil/x", "dbfs:/x"),
        *("file:///etc", "/etc", "file://evil/etc", "relative", "mlflow-artifacts:/x", "hdfs://evil/x"),
        *(
            "{home}/mlartifacts/../..",
            "file://{home}/mlartifacts/%2e%2e/%2e%2e",
            "{home}",
            "{home}/mlartifacts2",
        ),
        *("file:{home}/other", "HTTP://evil", "//evil/x", "file:///{home}/mlartifacts/../other"),
    ],
)
def test_a_store_of_another_place_is_set_aside(place: str, home: Path) -> None:
    located, inside = repr(place.format(home=home)), repr((home / "mlartifacts").as_uri())
    _change(home, EXPERIMENT.format(inside), RUN.format(located))
    keep_own_store(home)
    assert _names(home) == ["mlartifacts", "mlflow.db.set-aside.1"]


@pytest.mark.parametrize(
    "statement",
    [
        "create trigger t after insert on runs begin update runs set artifact_uri = 'http://evil'; end",
        "create view v as select 1",
        "insert into webhooks (webhook_id, name, url, status, secret, creation_timestamp,"
        " last_updated_timestamp) values ('a', 'a', 'http://evil', 'ACTIVE', '', 0, 0)",
        "insert into trace_tags (key, value, request_id)"
        " values ('mlflow.artifactLocation', 'file:///etc', 'a')",
        "insert into jobs (id, creation_time, job_name, params, status, retry_count, last_update_time)"
        " values ('a', 0, 'a', '{}', 0, 0, 0)",
        "insert into model_versions (name, version, source, creation_time) values ('a', 1, 'file:///etc', 0)",
        "insert into logged_models (model_id, experiment_id, name, artifact_location,"
        " creation_timestamp_ms, last_updated_timestamp_ms, status, lifecycle_stage)"
        " values ('a', 7, 'a', '/etc', 0, 0, 1, 'active')",
        "update experiments set artifact_location = 'http://evil'",
        "drop table metrics",
    ],
)
def test_a_store_that_does_more_than_mirror_is_set_aside(statement: str, home: Path) -> None:
    inside = repr((home / "mlartifacts").as_uri())
    _change(home, EXPERIMENT.format(inside), RUN.format(inside), "pragma foreign_keys = off")
    try:
        _change(home, statement)
    except sqlite3.Error as error:
        pytest.fail(f"the attack is none: {error}")
    if "drop" in statement:
        _change(home, "drop table runs")
    keep_own_store(home)
    assert "mlflow.db" not in _names(home)


@pytest.mark.parametrize("name", ["mlflow.db", "mlartifacts", "mlflow.db-journal", "mlartifacts/7/run/x"])
def test_links_in_a_store_are_refused(name: str, home: Path, tmp_path: Path) -> None:
    place = home / name
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        place.rmdir()
    place.unlink(missing_ok=True)
    place.symlink_to(tmp_path)
    with pytest.raises(TrackingError, match="a link; remove it"):
        keep_own_store(home)


def test_a_store_of_this_folder_stays(home: Path) -> None:
    inside = repr(f"{(home / 'mlartifacts').as_uri()}/7/a%20b")
    _change(home, EXPERIMENT.format(inside), RUN.format(inside))
    keep_own_store(home)
    keep_own_store(home)
    assert _names(home) == ["mlartifacts", "mlflow.db"]
    with closing(sqlite3.connect(home / "mlflow.db")) as opened:
        places = [place for (place,) in opened.execute("select artifact_location from experiments")]
    assert all(place.startswith((home / "mlartifacts").as_uri()) for place in places)


def test_a_copied_folder_is_mirrored_again_from_its_ledger(tmp_path: Path) -> None:
    folder = finished_study(tmp_path / "study")
    mirror_folder(folder, files_s=0)
    assert mirror_folder(folder, files_s=0).trials == 4
    assert "mlflow.db.set-aside.1" not in _names(folder.path)
    shutil.copytree(folder.path, tmp_path / "copy")
    mirror_folder(StudyFolder(tmp_path / "copy"), files_s=0)
    assert {"mlflow.db", "mlflow.db.set-aside.1"} <= set(_names(tmp_path / "copy"))
    with closing(sqlite3.connect(tmp_path / "copy" / "mlflow.db")) as opened:
        places = [place for (place,) in opened.execute("select artifact_uri from runs")]
    assert len(places) > 4
    assert all(place.startswith((tmp_path / "copy" / "mlartifacts").as_uri()) for place in places)


def test_the_server_imports_nothing_from_the_working_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda _program, command, _environment: started.append(command))
    serve_ui("sqlite://", Path("x"), Listening())
    assert started[0][1] == "-P"
    assert QUIET["PYTHONSAFEPATH"] == "1"
