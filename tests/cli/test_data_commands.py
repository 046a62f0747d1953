"""What `l2rw-ray data` prints, writes and returns."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from l2rw_ray.config import TrialConfig
from l2rw_ray.config.custom import IMPORT_PATH
from l2rw_ray.config.overrides import variants_of
from l2rw_ray.data.source import SOURCES
from tests.cli.conftest import Call


def _words(output: str) -> list[list[str]]:
    return [line.replace("│", " ").split() for line in output.splitlines()]


def test_every_source_is_listed_with_its_options(call: Call) -> None:
    import l2rw_ray.data  # noqa: F401  # registers the loaders

    code, output, _ = call("data", "list")
    assert code == 0
    sections = variants_of(TrialConfig, "data").classes
    assert set(sections) - {IMPORT_PATH} == set(SOURCES.names())
    for name, section in sections.items():
        assert name == IMPORT_PATH or f"│ {name} " in output
        for option in section.own_options():
            assert f"│ {option}" in output
    assert "kind: cube | moons | circles" in output
    assert "train (required)" in output


def test_check_counts_the_sets_and_draws(call: Call, study: Path, tmp_path: Path) -> None:
    code, output, _ = call("data", "check", str(study), "--out", str(tmp_path / "out"))
    assert code == 0
    assert "source   digits: 1,797 images of 8×8×1, 10 classes" in output
    assert "copy     comes with scikit-learn" in output
    assert "skipped  no rows" in output
    assert "the four sets, seed 0; without bias and noise → with them" in output
    assert ["all", "60", "20", "40", "60"] in _words(output)
    assert ["corrupted", "30.0%"] in _words(output)
    with Image.open(tmp_path / "out" / "samples.png") as drawn:
        assert drawn.width > 100


def test_check_draws_into_the_study_s_folder(
    call: Call, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, output, _ = call("data", "check", str(study))
    assert code == 0
    assert "samples  results/small/data-check/samples.png" in output
    assert (tmp_path / "results" / "small" / "data-check" / "samples.png").is_file()


def test_check_shows_each_level_of_a_data_factor(call: Call, study: Path, tmp_path: Path) -> None:
    levels = "design.factors={data.noise.rate: [0.0, 0.5], method.name: [uniform, l2rw]}"
    code, output, _ = call("data", "check", str(study), "--set", levels, "--out", str(tmp_path))
    assert code == 0
    assert output.count("samples  ") == 1
    assert "\ndata.noise.rate = 0.0, seed 0\n" in output
    assert "\ndata.noise.rate = 0.5, seed 0; without" in output


def test_check_shows_sources_that_differ_in_nothing_but_their_use_once(
    call: Call, study: Path, tmp_path: Path
) -> None:
    for folder, count in (("train", 30), ("trusted", 12)):
        for number in range(count):
            path = tmp_path / folder / f"class{number % 2}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), number + (100 if folder == "trusted" else 0)).save(path)
    folders = f"train: {tmp_path / 'train'}, trusted: {tmp_path / 'trusted'}"
    data = f"{{source: image_folder, {folders}, test_size: 2}}"
    levels = "{data.left_verified: [given, verified], method.name: [uniform]}"
    command = ["data", "check", str(study), "--out", str(tmp_path / "out"), "--set", f"trial.data={data}"]
    sizes = ["--set", "trial.data.meta_per_class=2", "--set", f"design.factors={levels}"]
    code, output, _ = call(*command, *sizes)
    assert code == 0
    assert output.count("source   image_folder") == output.count("samples  ") == 1
    assert "\ndata.left_verified = verified, seed 0" in output


def test_check_counts_what_is_skipped_and_vectors_have_no_images(
    call: Call, study: Path, tmp_path: Path
) -> None:
    table = tmp_path / "train.csv"
    rows = [f"{number},{number % 2}" for number in range(400)]
    table.write_text("\n".join(["x,label", *rows, "1,", "oops,1"]) + "\n")
    fields = [f"trial.data={{source: csv, train: {table}, features: [x], meta_per_class: 2}}"]
    command = ["data", "check", str(study), "--out", str(tmp_path / "out"), "--set", fields[0]]
    code, output, error = call(*command)
    assert (code, output, error.count("\n")) == (2, "", 1)
    assert "null in row 400 of" in error
    code, output, _ = call(*command, "--set", "trial.data.bad_rows=skip")
    assert code == 0
    assert "skipped  2 rows" in output
    assert f"1 × x: nan in row 401 of {table}" in output
    assert not (tmp_path / "out").exists()


def test_check_shows_which_labels_became_which_classes(call: Call, study: Path, tmp_path: Path) -> None:
    table = tmp_path / "train.csv"
    for labels, line in (
        (("-1", "1"), "note     labels -1, 1 are the classes 0, 1"),
        (
            ("cat", "dog "),
            "warning  white space around 200 values of label is ignored, such as 'dog ' in row 1",
        ),
    ):
        rows = [f"{number},{labels[number % 2]}" for number in range(400)]
        table.write_text("\n".join(["x,label", *rows]) + "\n")
        fields = f"trial.data={{source: csv, train: {table}, features: [x], meta_per_class: 2}}"
        code, output, _ = call("data", "check", str(study), "--set", fields)
        assert code == 0
        assert line in output


def test_check_counts_targets_by_decile(call: Call, study: Path, tmp_path: Path) -> None:
    table = tmp_path / "train.csv"
    table.write_text("\n".join(["x,y", *(f"{number},{number}" for number in range(410)), "1,"]) + "\n")
    noise = "{kind: gaussian, scale: 1, by: x}"
    data = f"source: csv, train: {table}, features: [x], target: y, target_below: 400, bad_rows: skip"
    changes = [f"trial.data={{{data}, meta_per_class: 2, noise: {noise}}}"]
    changes += ["objective={metric: validation_rmse, mode: min}"]
    command = ["data", "check", str(study), *(word for change in changes for word in ("--set", change))]
    code, output, error = call(*command)
    assert (code, error) == (0, "")
    assert "400 vectors of 1, 10 deciles of the target" in output
    assert "excluded 10 rows because of their targets" in output
    assert "skipped  1 row" in output
    assert ["decile", "10", "30", "2", "0", "8"] in _words(output)
    assert any(words[:1] == ["corrupted"] for words in _words(output))


def test_data_that_are_not_there_are_one_line_and_exit_code_2(
    call: Call, study: Path, tmp_path: Path
) -> None:
    for fields in (f"root={tmp_path}", "meta_per_class=500"):
        source = "cifar10" if fields.startswith("root") else "digits"
        changes = ["--set", f"trial.data.source={source}", "--set", f"trial.data.{fields}"]
        code, output, error = call("data", "check", str(study), *changes)
        assert (code, output, error.count("\n")) == (2, "", 1)
        assert error.startswith("error: trial.data.")


def test_check_shows_texts_without_what_a_terminal_would_obey(
    call: Call, study: Path, tmp_path: Path
) -> None:
    rows = [f"line one\n\x1b[2J two [bold] of {number}" for number in range(60)]
    pq.write_table(pa.table({"text": rows, "label": ["[red]", "b"] * 30}), tmp_path / "t.parquet")
    table = f"{{source: parquet, train: {tmp_path / 't.parquet'}, text: text, meta_per_class: 2}}"
    fields = [f"trial.data={table}", "trial.model={name: embedding_bag}"]
    code, output, _ = call(
        "data", "check", str(study), *(part for field in fields for part in ("--set", field))
    )
    assert code == 0
    assert "60 texts, 2 classes" in output
    assert "sample   [red]: line one  [2J two [bold] of " in output
    assert "\x1b" not in output
    assert "in the vocabulary, trained on the train pool" in output
    assert "cut      at 256 tokens: train 0.0%, meta 0.0%, test 0.0%" in output
    assert "unknown  tokens: train " in output


def test_check_shows_columns_of_categories(call: Call, study: Path, tmp_path: Path) -> None:
    rows = {"x": [float(n) for n in range(60)], "kind": ["a", "b", None] * 20, "label": [0, 1] * 30}
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    table = f"{{source: parquet, train: {tmp_path / 't.parquet'}, features: [x], categorical: [kind]}}"
    code, output, _ = call("data", "check", str(study), "--set", f"trial.data={table}")
    assert code == 0
    assert "60 rows of 1 feature and 1 column of categories, 2 classes" in output
    assert "category kind: 2 values in the train pool; missing: train 3" in output
