"""Links, pipes and names of trials by which a study folder, a store or a package reaches elsewhere."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import FileInfo, FileType

from l2rw_ray.config import parse_study
from l2rw_ray.errors import InputError
from l2rw_ray.orchestration.custom_code import stage_custom_code
from l2rw_ray.orchestration.workers.trial_log import logged
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.report import write_report
from l2rw_ray.results import StudyFolder, read_study
from l2rw_ray.results.examples import read_examples
from l2rw_ray.results.publishing import pack_study
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.remote.location import parse_location
from l2rw_ray.results.remote.store import StudyStore
from l2rw_ray.results.remote.store_files import StoreFiles
from l2rw_ray.results.repair import repair_folder
from tests.tracking.finished_study import finished_study

pytestmark = pytest.mark.attack("links and names that lead elsewhere")

Call = Callable[..., tuple[int, str, str]]
SECRET = "the user's own"


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    """A finished study; beside it a file and a folder of the user."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "key").write_text(SECRET)
    return finished_study(tmp_path / "study")


def _elsewhere(tmp_path: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (tmp_path / "mine").rglob("*") if path.is_file()}


def _put(kind: str, path: Path, mine: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(mine if kind == "folder" else mine / "key")


def _begin(folder: StudyFolder) -> None:
    folder.create()
    with folder.lock():
        repair_folder(folder)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, "file") for name in (".lock", "notes.md", "study.yaml", "plan.json", "optuna.db")),
        *((f"optuna.db-{end}", "file") for end in ("journal", "wal", "shm")),
        *((name, "folder") for name in ("trials", "checkpoints", "logs", "models", "examples", "report")),
        *((name, "pipe") for name in (".lock", "notes.md", "plan.json", "trials/0123456789abcdef.parquet")),
        ("trials/0123456789abcdef.parquet", "file"),
        ("logs/0123456789abcdef.log", "file"),
        ("models/0123456789abcdef.pt", "file"),
        ("checkpoints/0123456789abcdef", "folder"),
        ("checkpoints/0123456789abcdef/1.pt", "file"),
        ("report/report.html", "file"),
    ],
)
def test_a_run_follows_no_link(name: str, kind: str, folder: StudyFolder, tmp_path: Path) -> None:
    _put(kind, folder.path / name, tmp_path / "mine")
    with pytest.raises(InputError, match="no file or folder of its own; replace it by what it stands for"):
        _begin(folder)
    assert _elsewhere(tmp_path) == {"key": SECRET}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("notes.md", "file"), ("report", "folder"), ("report/report.html", "file")),
        *(("report/figures", "folder"), ("trials/a.parquet", "pipe"), ("study.yaml", "pipe")),
    ],
)
@pytest.mark.parametrize("command", ["report", "status", "track"])
def test_readers_follow_no_link(
    name: str, kind: str, command: str, folder: StudyFolder, call: Call, tmp_path: Path
) -> None:
    _put(kind, folder.path / name, tmp_path / "mine")
    if command != "report" and name.startswith("report/"):
        return  # they do not read it
    code, output, error = call(command, str(folder.path))
    assert (code, SECRET in output + error) == (2, False)
    assert "no file or folder of its own" in error
    assert _elsewhere(tmp_path) == {"key": SECRET}


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_evidence_on_labels_is_no_link(kind: str, folder: StudyFolder, tmp_path: Path) -> None:
    _put(kind, folder.examples_file("0123456789abcdef"), tmp_path / "mine")
    with pytest.raises(InputError, match="no file or folder of its own"):
        read_examples(folder.examples_file("0123456789abcdef"))


def test_publishing_follows_no_link(folder: StudyFolder, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "study.yaml").symlink_to(tmp_path / "mine" / "key")
    with pytest.raises(InputError, match="a link"):
        pack_study(folder, tmp_path / "out")
    assert _elsewhere(tmp_path) == {"key": SECRET}


def test_a_draft_that_is_a_link_is_replaced(folder: StudyFolder, tmp_path: Path) -> None:
    draft = folder.path / f".plan.json.{os.getpid()}.tmp"
    draft.symlink_to(tmp_path / "mine" / "key")
    folder.write_rows(())
    assert folder.plan_file.read_text() == "[]"
    assert _elsewhere(tmp_path) == {"key": SECRET}


def test_a_log_is_no_link(tmp_path: Path, folder: StudyFolder) -> None:
    folder.logs.mkdir(exist_ok=True)
    (folder.logs / "a.log").symlink_to(tmp_path / "mine" / "key")
    with logged(folder.logs / "a.log", 1):
        os.write(1, b"output")
    assert _elsewhere(tmp_path) == {"key": SECRET}


@pytest.mark.parametrize("place", ["own.py", "own/key", "own/data", "own", "own/pipe"])
def test_a_package_with_links_is_not_sent(
    place: str, study_tree: dict, write_code: Callable[[str, str], Path], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "key").write_text(SECRET)
    (tmp_path / "mine" / "__init__.py").write_text("")
    if place not in ("own.py", "own"):
        write_code("own/__init__.py", "")
    kind = {"own/pipe": "pipe", "own": "folder", "own/data": "folder"}.get(place, "file")
    _put(kind, tmp_path / place, tmp_path / "mine")
    study_tree["trial"]["metrics"] = ["own:mine"]
    with pytest.raises(InputError, match=r"a link|a pipe"):
        stage_custom_code(plan_study(parse_study(study_tree)), tmp_path / "sent")
    assert not [path for path in tmp_path.glob("sent/**/*") if path.is_file() and SECRET in path.read_text()]


@pytest.mark.parametrize(
    "name", ["../../mine/key", "/etc/passwd", "..", "", "a" * 100, "0123456789ABCDEF", 7, None, {"a": 1}]
)
def test_a_trial_of_a_plan_is_a_fingerprint(name: object, folder: StudyFolder) -> None:
    rows = json.loads(folder.plan_file.read_text())
    folder.plan_file.write_text(json.dumps([rows[0] | {"trial_id": name}]))
    with pytest.raises(InputError, match=r"its plan\.json is unreadable"):
        read_study(folder.path)


@pytest.mark.parametrize("name", ["../../mine/key", "/etc/passwd", "0123456789abcdef\n"])
def test_a_trial_of_the_ledger_is_a_fingerprint(name: str, folder: StudyFolder, tmp_path: Path) -> None:
    file = next(folder.trials.iterdir())
    table = pq.read_table(file)
    ids = pa.array([name], pa.string())
    pq.write_table(
        table.set_column(table.column_names.index("trial_id"), "trial_id", ids), folder.trials / "all.parquet"
    )
    assert name not in trial_results(folder.path)
    (tmp_path / "mine" / "key.pt").write_text(SECRET)
    repair_folder(folder)
    assert (tmp_path / "mine" / "key.pt").exists()


@pytest.mark.parametrize("name", ["trials/../../x.parquet", "examples/../../../x", "trials//x.parquet"])
def test_a_store_writes_nowhere_else(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Evil:
        def get_file_info(self, _selector: object) -> list[FileInfo]:
            return [FileInfo(f"bucket/study/{name}", FileType.File, size=1, mtime_ns=0)]

    monkeypatch.setattr(StoreFiles, "_opened", lambda *_: (Evil(), "bucket/study"))
    monkeypatch.setattr(StoreFiles, "read", lambda *_: b"x")
    place = parse_location("s3://bucket/study")
    assert not isinstance(place, Path)
    (tmp_path / "work" / "study").mkdir(parents=True)
    store = StudyStore(place, tmp_path / "work" / "study")
    with pytest.raises(InputError, match="would lie outside of the folder"):
        store.fill()
    assert not list(tmp_path.rglob("x*"))


def test_a_folder_behind_a_link_that_the_user_gives_is_fine(folder: StudyFolder, tmp_path: Path) -> None:
    (tmp_path / "disk").symlink_to(folder.path)
    assert len(read_study(tmp_path / "disk")) == 4
    assert write_report(tmp_path / "disk").html.is_file()
