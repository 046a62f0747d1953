"""Files of any content: no command ends with a traceback, none writes outside the study folder."""

import io
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from l2rw_ray.config import StudySpec
from l2rw_ray.config.code_identity import weights_hash
from l2rw_ray.config.loading import parse_study, read_study_file
from l2rw_ray.data.images.decoding import ImageDecoder, UnreadableError
from l2rw_ray.errors import L2RWError
from l2rw_ray.models import build_model
from l2rw_ray.models.pretrained.filling import fill
from l2rw_ray.models.pretrained.state_files import read_state
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.printable import printable
from l2rw_ray.results import StudyFolder, read_study
from l2rw_ray.results.plans.plan_log import PlanEntry, read_plan_log
from l2rw_ray.results.reader import read_history, trial_results
from l2rw_ray.results.repair import repair_folder
from l2rw_ray.results.study_progress import read_progress
from l2rw_ray.training import CheckpointStore
from l2rw_ray.training.checkpoint import _digest
from l2rw_ray.training.functions.script_metrics import LinesReader, logged_epochs
from tests.conftest import STUDY
from tests.tracking.finished_study import finished_study
from tests.training.functions.test_log_files import EVENTS, RUN

pytestmark = [pytest.mark.attack("files of any content"), pytest.mark.timeout(1800)]

EXAMPLES = int(os.environ.get("L2RW_RAY_FUZZ", "25"))
"""How many files are tried of each kind; `make faults` tries many more."""
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ENTRY = PlanEntry("2026-01-01T00:00:00+00:00", "a" * 64, (0, 1), 0)
LOGS = {"tensorboard": EVENTS, "wandb": RUN}
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=30),
    st.sampled_from(["own:load", "os:system", "../x", "l2rw", "sgd", "1e400", "s3://a:b@c/d", "\x1b[2J"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module", autouse=True)
def _database_of_mlflow(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A log of a script in the form of MLflow's database."""
    LOGS["mlflow"] = tmp_path_factory.mktemp("log") / "mlflow.db"
    with closing(sqlite3.connect(LOGS["mlflow"])) as database, database:
        columns = "key VARCHAR(250), value FLOAT, timestamp BIGINT, step BIGINT, is_nan BOOLEAN"
        database.execute(f"CREATE TABLE metrics ({columns})")
        rows = [("loss", 0.5 / (step + 1), step, step, False) for step in range(9)]
        database.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?)", rows)


def _paths(tree: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path for key, value in items for path in ((*prefix, key), *_paths(value, (*prefix, key)))]


def _changed(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(tree))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


def _damaged(draw: Callable[..., Any], content: bytes) -> bytes:
    """Return content with some bytes overwritten, cut off or put in."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(changed) - 1, 0)))
        piece = draw(st.binary(max_size=16))
        match draw(st.sampled_from(["over", "in", "cut"])):
            case "over":
                changed[place : place + len(piece)] = piece
            case "in":
                changed[place:place] = piece
            case "cut":
                del changed[place:]
    return bytes(changed)


def _fails_in_one_line(call: Callable[[], object]) -> None:
    error = None
    try:
        call()
    except L2RWError as raised:
        error = raised
    assert printable(str(error)) == str(error), error
    assert "\n" not in str(error), error


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return finished_study(tmp_path_factory.mktemp("fuzz") / "in" / "study")


@pytest.fixture
def copied(folder: StudyFolder, tmp_path: Path) -> Callable[[], StudyFolder]:
    def copy() -> StudyFolder:
        shutil.rmtree(tmp_path / "in", ignore_errors=True)
        shutil.copytree(folder.path, tmp_path / "in" / "study")
        return StudyFolder(tmp_path / "in" / "study")

    return copy


def _plan(spec: StudySpec) -> None:
    if len(spec.seed_values) < 50:
        plan_study(spec)


@fuzzed
@given(path=st.sampled_from(_paths(STUDY)), value=VALUES)
@example(path=("seeds",), value=2**64)
@example(path=("trial", "data", "train_size"), value=10**15)
@example(path=("trial", "optim", "groups"), value=[{"match": "[" * 50}])
def test_a_study_file(path: tuple[Any, ...], value: Any, tmp_path: Path) -> None:
    tree = _changed(STUDY, path, value)
    _fails_in_one_line(lambda: _plan(parse_study(tree)))
    (tmp_path / "study.yaml").write_text(json.dumps(tree), encoding="utf-8")
    _fails_in_one_line(lambda: read_study_file(tmp_path / "study.yaml"))


@fuzzed
@given(text=st.text(max_size=200) | st.binary(max_size=200))
@example(text="? [a]: b")
@example(text="<<: *a")
@example(text="%YAML 9.9\n---\na: b")
@example(text="a: 2024-99-99")
@example(text="a: 2024-01-01T99:99:99Z")
@example(text="!!omap [a]")
@example(text="!!set {a}")
@example(text="!!binary x")
@example(text="!!timestamp x")
@example(text="{[a]: b}")
@example(text="\x00")
def test_a_study_file_of_any_text(text: str | bytes, tmp_path: Path) -> None:
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    (tmp_path / "study.yaml").write_bytes(content)
    _fails_in_one_line(lambda: read_study_file(tmp_path / "study.yaml"))


@fuzzed
@given(data=st.data())
def test_a_plan(data: st.DataObject, copied: Callable[[], StudyFolder], tmp_path: Path) -> None:
    folder = copied()
    rows = json.loads(folder.plan_file.read_text(encoding="utf-8"))
    path = data.draw(st.sampled_from(_paths(rows)))
    text = json.dumps(_changed(rows, path, data.draw(VALUES)))
    folder.plan_file.write_text(text, encoding="utf-8")
    for read in (lambda: read_progress(folder), lambda: read_history(folder.path)):
        _fails_in_one_line(read)
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


@fuzzed
@given(data=st.data())
def test_a_ledger(data: st.DataObject, copied: Callable[[], StudyFolder], tmp_path: Path) -> None:
    folder = copied()
    file = data.draw(st.sampled_from(sorted(folder.trials.iterdir())))
    if data.draw(st.booleans()):
        file.write_bytes(_damaged(data.draw, file.read_bytes()))
    else:
        table = pq.read_table(file)
        name = data.draw(st.sampled_from(table.column_names))
        kind = data.draw(st.sampled_from([pa.string(), pa.int64(), pa.float64(), pa.list_(pa.string())]))
        value = {"string": "../x\x1b", "int64": 2**62, "double": float("nan")}.get(str(kind), ["x"])
        column = pa.array([data.draw(st.sampled_from([value, None]))], kind)
        pq.write_table(table.set_column(table.column_names.index(name), name, column), file)
    reads = (
        lambda: trial_results(folder.path),
        lambda: read_study(folder.path, everything=True),
        lambda: read_progress(folder),
        lambda: repair_folder(folder),
    )
    for read in reads:
        _fails_in_one_line(read)
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


@fuzzed
@given(change=st.dictionaries(st.sampled_from(sorted(vars(ENTRY))), VALUES, min_size=1, max_size=2))
@example(change={"seeds": [float("inf")]})
@example(change={"look_sizes": [10**15]})
@example(change={"margin": float("nan"), "registered": True})
def test_a_log_of_plans(change: dict[str, Any], tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.plan_log.write_text(json.dumps(vars(ENTRY) | change), encoding="utf-8")
    _fails_in_one_line(lambda: read_plan_log(folder).registration)


@pytest.mark.parametrize(
    "given",
    [
        "package:__main__/x",
        "package:torch//etc/passwd",
        "package:torch/../x",
        "~nobody_here/x",
        "\0",
        "x" * 5000,
    ],
)
def test_a_path_of_weights(given: str) -> None:
    with pytest.raises(L2RWError):
        weights_hash("model.weights", given)
    with pytest.raises(L2RWError):
        read_state(given)


@pytest.mark.parametrize(
    "change",
    [torch.Tensor.to_sparse, lambda tensor: tensor.to("meta"), lambda tensor: {3: tensor, "a": [tensor]}],
)
@pytest.mark.filterwarnings("ignore")  # torch warns of sparse tensors
def test_weights(change: Callable[[torch.Tensor], Any], tmp_path: Path) -> None:
    network = build_model("mlp", (1, 8, 8), 10)
    state = {name: change(value) for name, value in network.state_dict().items()}
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(L2RWError):
        fill(network, read_state(str(tmp_path / "a.pt")), 10, "a.pt", name="mlp")


@fuzzed
@given(data=st.data())
def test_a_checkpoint(data: st.DataObject, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "in", ignore_errors=True)
    store = CheckpointStore(tmp_path / "in", "0123456789abcdef")
    store.save({"model": {"weight": torch.zeros(3)}, "step": 1, "values": [1, "a", None]})
    (file,) = (path for path in (tmp_path / "in").rglob("*") if path.is_file())
    content = _damaged(data.draw, file.read_bytes())
    name = file.name
    if data.draw(st.booleans()):  # its digest fits
        name = name.replace(_digest(file.read_bytes()), _digest(content))
    file.unlink()
    file.with_name(name).write_bytes(content)
    _fails_in_one_line(CheckpointStore(tmp_path / "in", "0123456789abcdef").load)
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


def _image(kind: str) -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(encoded, format=kind)
    return encoded.getvalue()


@fuzzed
@given(data=st.data(), kind=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]))
@pytest.mark.filterwarnings("ignore")  # Pillow warns of some broken files
def test_an_image(data: st.DataObject, kind: str) -> None:
    content = _damaged(data.draw, _image(kind))
    decoder = ImageDecoder("field", "value", lambda row: f"row {row}", "remedy")
    with suppress(UnreadableError):  # whoever calls it names the image
        _fails_in_one_line(lambda: decoder.decode(0, content))


@fuzzed
@given(data=st.data(), tool=st.sampled_from(["tensorboard", "wandb", "mlflow"]))
def test_a_log_of_a_script(data: st.DataObject, tool: str, tmp_path: Path) -> None:
    file = LOGS[tool]
    (tmp_path / file.name).write_bytes(_damaged(data.draw, file.read_bytes()))
    _fails_in_one_line(lambda: logged_epochs(tool, tmp_path))


@fuzzed
@given(
    change=st.dictionaries(st.sampled_from(["epoch", "step", "checkpoint", "loss"]), VALUES, min_size=1),
    rest=st.binary(max_size=20),
)
@example(change={"loss": 1}, rest=b"[" * 100_000 + b"\n")
@example(change={"epoch": 1, "step": 10**20}, rest=b"")
@example(change={"epoch": True, "checkpoint": 3}, rest=b"")
@example(change={"checkpoint": "a\0b"}, rest=b"")
@example(change={"checkpoint": "\ud800"}, rest=b"")
def test_metrics_of_a_script(change: dict[str, Any], rest: bytes, tmp_path: Path) -> None:
    line = json.dumps({"epoch": 1, "step": 2, "loss": 0.5} | change).encode()
    (tmp_path / "metrics.jsonl").write_bytes(line + b"\n" + rest)
    _fails_in_one_line(LinesReader(tmp_path / "metrics.jsonl").read)
