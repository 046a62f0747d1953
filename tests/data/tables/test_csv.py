"""CSV tables, beside what `test_parquet` says of every table."""

import gzip
from pathlib import Path

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data import Source, load_source
from l2rw_ray.data.tables.encodings import EncodingError, as_utf8
from l2rw_ray.errors import ConfigError, DataError

PACKED = gzip.compress(b"a,kind,b", mtime=0)  # without the time, which would be in the names of tests
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


@pytest.mark.parametrize(
    ("encoding", "problem", "remedy"),
    [
        ("latin-1", "not UTF-8: byte 0xe9 in line 2; set trial.data.encoding, to latin-1 if its", "save it"),
        ("cp1252", "not UTF-8: byte 0x80 in line 1; set trial.data.encoding, to cp1252 if its", "save it"),
        ("utf-16", "not UTF-8 but UTF-16, by its first bytes; set trial.data.encoding to utf-16", "save it"),
        ("utf-16-le", "not UTF-8 but UTF-16-LE, by its", "encoding to utf-16-le"),
        ("utf-16-be", "not UTF-8 but UTF-16-BE, by its", "encoding to utf-16-be"),
        ("utf-32", "not UTF-8 but UTF-32, by its", "encoding to utf-32"),
    ],
)
def test_another_encoding_is_named_and_can_be_set(tmp_path, encoding, problem, remedy) -> None:
    price = "b€" if encoding == "cp1252" else "b"
    table = tmp_path / "train.csv"
    table.write_bytes(f"a,kind,{price}\n1,café,0.5\n2,thé,2\n".encode(encoding))
    message = complaint(table, features=["a"])
    assert problem in message
    assert remedy in message
    source = load(table, features=["a", price], encoding=encoding)
    assert source.class_names == ("café", "thé")
    assert source.inputs.tolist() == [[1, 0.5], [2, 2]]
    if encoding != "latin-1":  # in which every byte is a letter
        assert "not ascii: byte 0x" in complaint(table, encoding="ascii")


def test_a_byte_that_is_no_utf8_is_found_anywhere(monkeypatch) -> None:
    monkeypatch.setattr("l2rw_ray.data.tables.encodings._AT_A_TIME", 3)
    text = "aé\nbü€\n".encode()
    for end in range(len(text) + 1):
        content = text[:end] + b"\xff" + text
        with pytest.raises(EncodingError) as caught:
            as_utf8(content, "utf-8")
        with pytest.raises(UnicodeDecodeError) as whole:
            content.decode()
        position = whole.value.start
        place = f"byte 0x{content[position]:02x} in line {content.count(10, 0, position) + 1}"
        assert caught.value.problem == f"not UTF-8: {place}"
    assert as_utf8(text, "utf-8") == text


def test_what_reads_as_missing_can_be_said(write) -> None:
    rows = "".join(f"{number},{kind},{number}\n" for number, kind in enumerate(["NA", "EU", "null", "NA"]))
    table = write(f"a,kind,b\n{rows}")
    assert "null in row 0" in complaint(table)
    assert complaint(table).endswith("(NA and the like read as missing, see trial.data.null_values)")
    source = load(table, null_values=[""])
    assert source.class_names == ("EU", "NA", "null")
    assert load(table, null_values=["", "null"], bad_rows="skip").skipped_rows == 1


def test_other_readings_of_a_file_do_not_share_what_is_cached(write) -> None:
    table = write("a,kind,b\n1,x,5\n2,y,-9\n3,x,6\n")
    assert load(table).inputs[:, 0].tolist() == [5, -9, 6]
    again = load(table, null_values=["-9"], missing="mean")
    assert again.inputs[:, 0].isnan().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"encoding": "latin"}, None),
        ({"encoding": "utf8"}, None),
        ({"encoding": "utf-99"}, "data.encoding = 'utf-99': unknown; use a name of Python's"),
        ({"encoding": "base64"}, "data.encoding = 'base64': unknown; use a name of Python's"),
        ({"encoding": "latin-1", "source": "parquet"}, "data.encoding = 'iso8859-1': Parquet files say"),
        ({"null_values": [""], "source": "parquet"}, "data.null_values = ['']: Parquet files say"),
        ({"class_names": ["a"]}, "data.class_names = ['a']: too few; give at least 2"),
        ({"class_names": ["a", "a"]}, "data.class_names = ['a', 'a']: a name occurs twice"),
        (
            {"class_names": ["a", "b"], "label": None, "target": "y"},
            "class_names = ['a', 'b']: there is no la",
        ),
    ],
)
def test_options_of_how_a_table_is_read(study_tree, fields, part) -> None:
    study_tree["trial"]["data"] = {"source": "csv", "train": "train.csv", "features": ["x"], **fields}
    if part is None:
        assert parse_study(study_tree).trial.data.encoding in ("iso8859-1", "utf-8")
        return
    with pytest.raises(ConfigError) as caught:
        parse_study(study_tree)
    assert part in str(caught.value)


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


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"PAR1\x15\x00\xff", "not CSV but a Parquet file; set trial.data.source to parquet"),
        (b"PK\x03\x04\x14", "not CSV but a zip file or a spreadsheet; unpack it, or save the sheet as CSV"),
        (PACKED, "not CSV but packed by gzip; give it a name that ends in .csv.gz"),
    ],
)
def test_what_is_no_text_is_told(tmp_path, content, part) -> None:
    (tmp_path / "train.csv").write_bytes(content)
    assert part in complaint(tmp_path / "train.csv")


def test_a_row_of_any_length(write) -> None:
    table = write(f"a,kind,b,note\n1,newt,0.5,\n4,cat,5,{'x' * 3_000_000}\n5,cat,6,\n")
    assert load(table).inputs[:, 1].tolist() == [1, 4, 5]


def test_csv_taken_for_parquet_is_told(write) -> None:
    with pytest.raises(DataError, match=r"give a whole Parquet file, or set trial\.data\.source to csv"):
        load_source(ParquetData(source="parquet", train=str(write(ROWS)), features=["a"]))


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({}, "features = None: no column to learn from is named; name at least one column, or set categ"),
        ({"image": "photo"}, "data.image = 'photo': a CSV file has no encoded images; use source parquet"),
    ],
)
def test_a_csv_has_features(study_tree, fields, part) -> None:
    study_tree["trial"]["data"] = {"source": "csv", "train": "train.csv", **fields}
    with pytest.raises(ConfigError) as caught:
        parse_study(study_tree)
    assert part in str(caught.value)


def test_a_feature_that_is_a_name_is_told_to_be_a_category(tmp_path: Path) -> None:
    train = tmp_path / "train.csv"
    train.write_text("a,b,kind\n1,north,x\n2,south,y\n")

    assert "name a column of categories under categorical" in complaint(train)
