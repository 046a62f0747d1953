"""Small files that ask for gigabytes or hours: one line and exit code 2 within seconds."""

import io
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from l2rw_ray.config.data.transforms import Transform
from l2rw_ray.config.yaml_text import parse_yaml
from l2rw_ray.data import cache
from l2rw_ray.data.images.decoding import ImageDecoder
from l2rw_ray.errors import DataError, InputError
from l2rw_ray.results import StudyFolder, read_study
from l2rw_ray.results.examples import read_examples
from l2rw_ray.results.reader import trial_results
from tests.tracking.finished_study import finished_study

pytestmark = [pytest.mark.attack("bombs"), pytest.mark.timeout(60)]

Call = Callable[..., tuple[int, str, str]]
GRID = {"kind": "grid", "factors": {"method.name": ["uniform", "l2rw"]}}
MANY = [0.001 * (number + 1) for number in range(1000)]


@contextmanager
def bounded(more_bytes: int = 2**30) -> Iterator[None]:
    """Fail where the block allocates more than so much."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + more_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _options(text: str) -> str:
    return f"""
x-a: &a {text}
name: bomb
question: q
trial:
  data: {{source: own:load, options: {{a: [{", ".join(["*a"] * 600)}]}}}}
  model: {{name: mlp}}
  method: {{name: l2rw}}
  optim: {{name: sgd, lr: 0.1}}
design: {{kind: grid, factors: {{method.name: [uniform, l2rw]}}}}
"""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (_options("a" * 19_000), "aliases counted as what they stand for"),
        (_options(f"[{', '.join(['*b'] * 100)}]").replace("x-a", "x-b: &b [1, 2, 3]\nx-a"), "50,000 values"),
        ("question: " + "a" * 100_000, "a text of more than 20,000 characters"),
        ("question: 0x" + "f" * 10_000, "a number of 40,000 bits"),
        ("question: " + "9" * 15_000, "not readable"),
        ("question: 0b" + "1" * 19_000, "of"),
        ("question: {" + "a: {" * 3000 + "}" * 3001, "inside each other"),
        ("question: " + "[" * 3000 + "]" * 3000, "inside each other"),
        ("question: " + "- " * 3000 + "a", ""),
        ("? " * 3000 + "a", "inside each other"),
        ("question: !!int " + "0" * 30_000, "characters"),
        ("a: &a [*a]", "for what it is in"),
        ('question: "\\ud800"', "write the character itself"),
        ('question: "\\udc00\\ud800"', "write the character itself"),
        ("a" * 5_000_000, "more than 4,194,304 characters"),
    ],
)
def test_yaml(text: str, complaint: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(text)
    with bounded():
        code, _, error = call("plan", str(tmp_path / "study.yaml"))
    assert (code, error.count("\n")) == (2, 1), error
    assert complaint in error
    assert len(error) < 1000


def test_numbers_of_an_override() -> None:
    with pytest.raises(InputError, match="a number of 40,000 bits; use at most 63 bits"):
        parse_yaml("0x" + "f" * 10_000, "--set seeds")
    assert parse_yaml("[9223372036854775807, -9223372036854775807]", "x") == [2**63 - 1, 1 - 2**63]


@pytest.mark.parametrize(
    ("design", "complaint"),
    [
        (
            {"factors": {"optim.lr": MANY, "optim.momentum": MANY, "data.noise.rate": MANY}},
            "1,000,000,000 combinations of levels",
        ),
        ({"factors": {"optim.lr": MANY[:400]}}, "which makes 400,000 trials; use fewer"),
        ({"factors": {"question": ["a" * 5000]}}, "a level of 5,002 characters; use at most 4,000"),
        ({"factors": {"optim.lr": [*range(1, 30_000), 1]}}, "the same level twice"),
        ({"factors": {"model.depth": [2, 10**9]}}, "less than or equal to 1000"),
        ({"kind": "ablation", "variants": {"a": {"optim.lr": 0.1}}, "factors": {"optim.lr": MANY}}, ""),
    ],
)
def test_designs(design: dict, complaint: str, study_tree: dict, call: Call, tmp_path: Path) -> None:
    study_tree |= {"design": {"kind": "grid", **design}, "seeds": 1000}
    (tmp_path / "study.yaml").write_text(json.dumps(study_tree))
    with bounded():
        code, _, error = call("plan", str(tmp_path / "study.yaml"))
    assert (code, error.count("\n")) == (2, 1), error
    assert complaint in error


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return finished_study(tmp_path_factory.mktemp("folder") / "study")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000 + "]" * 100_000,
        '[{"a":' * 50_000,
        '[{"trial_id": "0123456789abcdef", "seed": ' + "9" * 10_000 + "}]",
        '[{"trial_id": "0123456789abcdef", "seed": 1e999, "factors": {}, "resources": {}}]',
        '[{"trial_id": "0123456789abcdef", "seed": 99999999999999999999, "factors": {}, "resources": {}}]',
        '[{"trial_id": "0123456789abcdef", "seed": 1, "factors": 7, "resources": {}}]',
        '[{"trial_id": "0123456789abcdef", "seed": 1, "factors": {}, "resources": {}, "search": [1]}]',
        *("7", "null", '"a"', "[7]", "[[]]", '{"a": 1}', "", "\ufeff[]", "[nan]"),
    ],
)
def test_plans(text: str, finished: StudyFolder, call: Call) -> None:
    before = finished.plan_file.read_text()
    finished.plan_file.write_text(text)
    try:
        code, _, error = call("status", str(finished.path))
    finally:
        finished.plan_file.write_text(before)
    assert (code, error.count("\n")) == (2, 1), error
    assert "its plan.json is unreadable" in error


def _repeated(path: Path, columns: dict[str, pa.Array], times: int) -> None:
    """Write many rows of one value, which take next to nothing."""
    table = pa.table(columns)
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        for _ in range(times):
            writer.write_table(table)


def test_labels_of_a_table(study_tree: dict, call: Call, tmp_path: Path) -> None:
    labels = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), ["x" * 2000])
    study = _table(tmp_path, study_tree, {"label": labels, "x": pa.array([0.5] * 1000)}, features=["x"])
    code, _, error = call("data", "check", str(study), "--out", str(tmp_path / "out"))
    assert (code, "a text of 2,000 characters" in error) == (2, True), error


@pytest.mark.parametrize("name", ["0123456789abcdef.parquet", "all.parquet"])
def test_rows_of_a_ledger(name: str, finished: StudyFolder) -> None:
    path = finished.trials / name
    ids = pa.array(["0123456789abcdef"] * 1_000_000)
    errors = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int32()), ["x" * 10_000])
    _repeated(path, {"trial_id": ids, "error": errors}, 3)
    try:
        with bounded():
            assert "0123456789abcdef" not in trial_results(finished.path)
    finally:
        path.unlink()


def test_long_rows_of_a_ledger(finished: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l2rw_ray.results.trial_files.MAX_LEDGER_BYTES", 2**28)
    path, rows = finished.trials / "all.parquet", 50_000
    error = pa.array(["x" * 100_000]).take(pa.array([0] * 100))
    ids = pa.array(["0123456789abcdef"] * 100)
    _repeated(path, {"trial_id": ids, "error": error, "status": ids}, rows // 100)
    try:
        with bounded(2 * 2**30):
            assert read_study(finished.path, everything=True).num_rows == 4
    finally:
        path.unlink()


def test_rows_of_evidence(tmp_path: Path) -> None:
    path = tmp_path / "0123456789abcdef.parquet"
    _repeated(path, {"id": pa.array([None] * 2_000_000, pa.string())}, 40)
    with bounded(), pytest.raises(InputError, match="80,000,000 rows in"):
        read_examples(path)


def _table(
    tmp_path: Path, study_tree: dict, columns: dict[str, pa.Array], times: int = 1, **data: object
) -> Path:
    _repeated(tmp_path / "train.parquet", columns, times)
    study_tree["trial"]["data"] = {"source": "parquet", "train": str(tmp_path / "train.parquet"), **data}
    study_tree["trial"]["data"] |= {
        "label": "label",
        "train_size": 60,
        "validation_size": 40,
        "test_size": 60,
    }
    (tmp_path / "study.yaml").write_text(json.dumps(study_tree))
    return tmp_path / "study.yaml"


def test_rows_of_a_table(study_tree: dict, call: Call, tmp_path: Path) -> None:
    columns = {"label": pa.array([1] * 5_000_000), "x": pa.array([0.5] * 5_000_000)}
    study = _table(tmp_path, study_tree, columns, times=20)
    with bounded(2 * 2**30):
        code, _, error = call("data", "check", str(study), "--out", str(tmp_path / "out"))
    assert (code, error.count("\n")) == (2, 1), error
    assert "100,000,000 rows in" in error


def test_repeats_of_a_transform() -> None:
    assert Transform.model_validate({"name": "AugMix", "mixture_width": 3})
    with pytest.raises(ValueError, match="use 1 to 100"):
        Transform.model_validate({"name": "AugMix", "mixture_width": 10**9})


def test_scans_of_a_picture() -> None:
    encoded = io.BytesIO()
    Image.new("L", (64, 64)).save(encoded, format="JPEG", progressive=True)
    picture = encoded.getvalue()
    last = picture.rindex(b"\xff\xda")
    scans = picture[last:-2] * 200
    decoder = ImageDecoder("field", "value", lambda row: f"row {row}", "remedy")
    assert decoder.decode(0, picture).shape == (1, 64, 64)
    with pytest.raises(DataError, match="has more than 100 scans"):
        decoder.decode(0, picture[:last] + scans + picture[-2:])


@pytest.mark.parametrize(
    ("side", "complaint"), [(12_000, "144,000,000 × pixels"), (9_000, "GiB, their files")]
)
def test_pixels(side: int, complaint: str, study_tree: dict, call: Call, tmp_path: Path) -> None:
    encoded = io.BytesIO()
    Image.new("L", (side, side)).save(encoded, format="PNG", optimize=True)
    images = pa.array([encoded.getvalue()]).take(pa.array([0] * 200))
    columns = {"label": pa.array([number % 2 for number in range(200)]), "image": images}
    study = _table(tmp_path, study_tree, columns, image="image")
    with bounded(3 * 2**30):
        code, _, error = call("data", "check", str(study), "--out", str(tmp_path / "out"))
    assert (code, error.count("\n")) == (2, 1), error
    assert complaint.split("×")[-1].strip() in error


def test_entries_of_others_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    import numpy as np

    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path))
    assert cache.cached("a", lambda: np.zeros(3)).tolist() == [0, 0, 0]
    assert cache.cached("a", lambda: np.ones(3)).tolist() == [0, 0, 0], "it is kept"
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    assert cache.cached("a", lambda: np.ones(3)).tolist() == [1, 1, 1], "another user's is not taken"
    monkeypatch.setattr(os, "getuid", lambda: me)
    (entry,) = tmp_path.glob("*.npy")
    entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(tmp_path / "elsewhere")
    assert cache.cached("a", lambda: np.full(3, 2.0)).tolist() == [2, 2, 2], "nor what a link stands for"
