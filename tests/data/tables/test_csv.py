"""CSV tables, beside what `test_parquet` says of every table."""

import gzip
from pathlib import Path

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data import Source, load_source
from l2rw_ray.errors import ConfigError, DataError

ROWS = "a,kind,b\n1,newt,0.5\n2,cat,1e1\n3,newt,-2\n"


def load(train: Path, **fields) -> Source:
    return load_source(
        ParquetData(source="csv", train=str(train), **{"features": ["b", "a"], "label": "kind"} | fields)
    )


def complaint(train: Path, **fields) -> str:
    with pytest.raises(DataError) as caught:
        load(train, **fields)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def write(tmp_path):
    def write_text(text: str, name: str = "train.csv") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write_text


def test_numbers_and_text_labels(write) -> None:
    source = load(write(ROWS))
    assert source.inputs.tolist() == [[0.5, 1], [10, 2], [-2, 3]]
    assert source.labels.tolist() == [1, 0, 1]
    assert source.class_names == ("cat", "newt")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(write, delimiter) -> None:
    assert load(write(ROWS.replace(",", delimiter))).inputs.tolist() == [[0.5, 1], [10, 2], [-2, 3]]


def test_packed_files_and_folders(tmp_path, write) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    write("a,kind,b\n4,cat,7\n", "parts/b.csv")
    write("no table", "parts/notes.txt")
    source = load(tmp_path / "parts")
    assert source.inputs[:, 1].tolist() == [1, 2, 3, 4]
    assert source.labels.tolist() == [1, 0, 1, 0]


def test_labels_that_look_like_numbers_in_test_only(write) -> None:
    train, test = write("x,kind\n1,1\n2,other\n"), write("x,kind\n3,1\n", "test.csv")
    source = load(train, test=str(test), features=["x"])
    assert source.test_labels.tolist() == [0]


@pytest.mark.parametrize(("value", "shown"), [("", "null"), ("nan", "null"), ("inf", "inf"), ("abc", "abc")])
def test_a_value_that_is_no_number_is_named(write, value, shown) -> None:
    table = write(f"a,kind,b\n1,newt,0.5\n2,cat,{value}\n3,cat,1\n")
    assert complaint(table).startswith(f"trial.data.features = 'b': {shown} in row 1 of {table}; fill in")


def test_a_missing_label_is_named(write) -> None:
    table = write("a,kind,b\n1,newt,0.5\n2,,1\n")
    assert f"trial.data.label = 'kind': null in row 1 of {table}" in complaint(table)


@pytest.mark.parametrize("text", ["a,kind,b\n1,newt\n", "", "\x00\x01"])
def test_what_is_no_table_is_refused(write, text) -> None:
    assert "no readable CSV file (" in complaint(write(text)) or "no such column" in complaint(write(text))


def test_no_rows_and_wrong_columns_are_refused(write) -> None:
    assert "the table has no rows" in complaint(write("a,kind,b\n"))
    assert "did you mean 'kind'? the columns are a, kind, b" in complaint(write(ROWS), label="kinds")


def test_bad_rows_are_skipped_and_counted(write) -> None:
    table = write("a,kind,b\n1,newt,0.5\nx,,1\n2,cat,nan\n3,cat,4\n4,,1\n")
    source = load(table, bad_rows="skip")
    assert source.inputs.tolist() == [[0.5, 1], [4, 3]]
    assert source.labels.tolist() == [1, 0]
    assert source.skipped_rows == 3
    assert [(part.count, part.first) for part in source.skipped] == [
        (2, f"kind: null in row 1 of {table}"),
        (1, f"b: nan in row 2 of {table}"),
    ]
    message = complaint(write("a,kind,b\n1,cat,\n"), bad_rows="skip")
    assert f"no row can be used (b: nan in row 0 of {table}); fix the table" in message


def test_csv_taken_for_parquet_is_told(write) -> None:
    with pytest.raises(DataError, match=r"give a whole Parquet file, or set trial\.data\.source to csv"):
        load_source(ParquetData(source="parquet", train=str(write(ROWS)), features=["a"]))


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({}, "data.features = None: no text column is named; name at least one column, or set text"),
        ({"image": "photo"}, "data.image = 'photo': a CSV file has no encoded images; use source parquet"),
    ],
)
def test_a_csv_has_features(study_tree, fields, part) -> None:
    study_tree["trial"]["data"] = {"source": "csv", "train": "train.csv", **fields}
    with pytest.raises(ConfigError) as caught:
        parse_study(study_tree)
    assert part in str(caught.value)
