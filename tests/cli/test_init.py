"""The study file that `init` writes runs on the user's table or folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from l2rw_ray import load_study, plan_study
from l2rw_ray.cli.init import Wishes, write_study
from l2rw_ray.config import StudySpec
from l2rw_ray.errors import InputError
from l2rw_ray.preflight.data_check import check_data
from l2rw_ray.results import StudyFolder, read_study
from tests.training.functions.in_process import run_here

N = 120
_GENERATOR = np.random.default_rng(0)
COLUMNS: dict[str, Any] = {
    "row_id": list(range(N)),
    "age": [None if row == 7 else float(row % 60) for row in range(N)],
    "site": [("north", "south", "west")[row % 3] for row in range(N)],
    "diagnosis": [("benign", "malignant")[row % 2] for row in range(N)],
    "cost": _GENERATOR.normal(size=N).tolist(),
}


def _table(path: Path, columns: dict[str, Any]) -> str:
    table = pa.table(columns)
    if path.suffix == ".csv":
        from pyarrow import csv

        csv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    return str(path)


def _written(folder: Path, on: str, *, answers: dict[str, str] | None = None, **options: str) -> StudySpec:
    """Write a study file, and check that its data and its model can be loaded."""
    answers = answers or {}
    asked: list[str] = []

    def ask(option: str, question: str, default: str | None) -> str:
        asked.append(option)
        answer = answers.get(option, default)
        assert answer is not None, question
        return answer

    wishes = Wishes(
        None if "--on" in answers else on, *map(options.get, ("label", "metric", "vary", "question"))
    )
    write_study(folder / "study.yaml", wishes, ask)
    assert len(asked) <= 3
    spec = load_study(folder / "study.yaml")
    check_data(list(plan_study(spec))[:1], spec)
    return spec


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_of_numbers_and_categories(tmp_path: Path, suffix: str) -> None:
    on = _table(tmp_path / f"patients{suffix}", COLUMNS)
    spec = _written(tmp_path, on, answers={"--on": on})
    data: Any = spec.trial.data
    assert (data.label, data.features, data.categorical) == ("diagnosis", ("age", "cost"), ("site",))
    assert spec.name == "study"
    assert len(plan_study(spec)) == 15


def test_a_target(tmp_path: Path) -> None:
    on = _table(tmp_path / "patients.csv", COLUMNS)
    spec = _written(tmp_path, on, label="cost", vary="optim.lr=0.01,0.1", question="How fast?")
    data: Any = spec.trial.data
    assert (data.target, data.label) == ("cost", None)
    assert spec.question == "How fast?"


def test_texts(tmp_path: Path) -> None:
    words = [f"this is the text of example number {row}, which is long enough" for row in range(N)]
    on = _table(tmp_path / "texts.parquet", {"text": words, "label": [row % 2 for row in range(N)]})
    spec = _written(tmp_path, on)
    assert spec.trial.model.name == "embedding_bag"


def test_a_folder_of_images(tmp_path: Path) -> None:
    for number in range(40):
        folder = tmp_path / "photos" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = _GENERATOR.integers(0, 256, size=(20 + number, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    spec = _written(tmp_path, str(tmp_path / "photos"))
    assert spec.trial.data.source == "image_folder"


FUNCTION = """
def train(trial, lr: float = 0.1, width: int = 8, seed: int = 0, loss=None):
    trial.finish({"test_loss": lr / width + seed})
"""


def test_a_function(tmp_path: Path, write_code: Callable[[str, str], Path]) -> None:
    write_code("own_loop.py", FUNCTION)
    answers = {"--on": "own_loop:train", "--metric": "test_loss:min", "--vary": "lr=0.1,0.2"}
    write_study(
        tmp_path / "study.yaml",
        Wishes(None, None, None, None, None),
        lambda option, question, default: answers.pop(option),
    )
    assert not answers, "three questions"
    spec = load_study(tmp_path / "study.yaml")
    assert dict(spec.trial.params) == {"lr": 0.1, "width": 8}, "the seed is that of each trial"
    assert (spec.metrics["test_loss"].mode, spec.question) == ("min", "Which of 0.1, 0.2 is best as lr?")
    assert run_here(spec, StudyFolder(tmp_path / "out")) == 10
    rows = read_study(tmp_path / "out").to_pylist()
    assert [dict(row["metrics"])["test_loss"] for row in rows if row["factor.lr"] == 0.2] == [
        pytest.approx(0.025 + seed) for seed in range(5)
    ]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"on": "own_loop:trian"}, "--on = 'own_loop:trian'"),
        ({"metric": "loss:less"}, "--metric = 'loss:less': no direction; end it in :min or :max"),
        ({"metric": ":min"}, "--metric = ':min': no name of a metric; write it before the colon"),
        ({"metric": ""}, "--metric = '': empty; give it, or leave it out to be asked"),
        ({"label": "y"}, "--label = 'y': a function has no column of labels; leave it out"),
        (
            {"vary": "width"},
            "--vary = 'width': not of the form PATH=LEVEL,LEVEL; try --vary width=LEVEL,LEVEL",
        ),
        ({"vary": "lrr=1,2"}, "own_loop:train has no such parameter; did you mean 'lr'?"),
    ],
)
def test_an_answer_about_a_function_that_cannot_be_used_is_named(
    tmp_path: Path, write_code: Callable[[str, str], Path], options: dict[str, str], line: str
) -> None:
    write_code("own_loop.py", FUNCTION)
    given = {"on": "own_loop:train", "metric": "test_loss:min", "vary": "lr=0.1,0.2"} | options
    with pytest.raises(InputError) as caught:
        write_study(
            tmp_path / "study.yaml",
            Wishes(given["on"], given.get("label"), given["metric"], given["vary"], None),
            lambda *_: "",
        )
    assert line in str(caught.value)


@pytest.mark.parametrize(
    ("wishes", "line"),
    [
        ({"on": "nowhere.csv"}, "--on = 'nowhere.csv': there is no such file or folder"),
        (
            {"label": "gone"},
            "--label = 'gone': no such column; use one of diagnosis, cost, row_id, age, site",
        ),
        ({"metric": "loss"}, "--metric = 'loss': trials on data report metrics of their own; leave it out"),
        ({"on": ""}, "--on = '': empty"),
        ({"vary": "optim.lr"}, "--vary = 'optim.lr': not of the form PATH=LEVEL,LEVEL"),
        ({"vary": "optim.speed=1,2"}, "optim.speed"),
    ],
)
def test_an_answer_that_cannot_be_used_is_named(tmp_path: Path, wishes: dict[str, str], line: str) -> None:
    given = {"on": _table(tmp_path / "patients.csv", COLUMNS), "label": "diagnosis", "vary": None} | wishes
    with pytest.raises(InputError) as caught:
        write_study(
            tmp_path / "study.yaml",
            Wishes(given["on"], given["label"], given.get("metric"), given["vary"], None),
            lambda option, question, default: default or "",
        )
    assert line in str(caught.value)
    assert not (tmp_path / "study.yaml").exists()


def test_a_file_that_exists_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("mine")
    with pytest.raises(InputError, match="it exists already"):
        write_study(file, Wishes(None, None, None, None, None), lambda *_: "")
    assert file.read_text() == "mine"
