import csv
import io

import pyarrow.csv
import pytest

from l2rw_ray.data.tables.changed_csv import changed_csv


@pytest.mark.parametrize("letter", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_a_character_that_ends_a_line_for_python_ends_no_row(letter: str) -> None:
    content = f"text,label\na{letter}b,x\nc,x\n".encode()
    assert changed_csv(content, 1, {1: "y"}) == content.replace(b"c,x", b"c,y")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_rows_are_numbered_as_the_reader_of_tables_numbers_them(ending: str) -> None:
    lines = ["text,label", "a,x", "", f'"b{ending}{ending}",x', "c,x"]
    content = ending.join(lines).encode()
    table = pyarrow.csv.read_csv(
        io.BytesIO(content), parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
    )
    assert table["text"].to_pylist() == ["a", f"b{ending}{ending}", "c"]
    assert changed_csv(content, 1, {2: "y"}) == content.replace(b"c,x", b"c,y")
    assert changed_csv(content, 1, {0: "y"}) == content.replace(b"a,x", b"a,y")


def test_a_cell_may_be_long() -> None:
    before = csv.field_size_limit()
    content = f"text,label\n{'a' * (before + 1)},x\n".encode()
    assert changed_csv(content, 1, {0: "y"}) == content[:-2] + b"y\n"
    assert csv.field_size_limit() == before, "the limit belongs to the process"


def test_nothing_is_changed_where_nothing_is_to_change() -> None:
    content = '\ufeff a ; "b""c" ;\r\n\r\n;;\r\n"x\ny";2;3\n4;5;6'.encode()
    assert changed_csv(content, 1, {}) == content
