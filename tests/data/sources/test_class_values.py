"""Values of a label column become classes, and files of before keep theirs."""

import datetime
from decimal import Decimal

import numpy as np
import pytest

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data import Source, load_source
from l2rw_ray.data.sources.class_values import Classes, find_classes, look_alikes
from l2rw_ray.errors import DataError


@pytest.fixture
def load(write_table):
    def load_labels(*labels: object, **fields) -> Source:
        path = write_table({"x": [float(row) for row in range(len(labels))], "label": list(labels)})
        return load_source(ParquetData(source="parquet", train=str(path), features=["x"], **fields))

    return load_labels


@pytest.mark.parametrize(
    ("labels", "indices", "names", "mapping"),
    [
        ([1, 2, 3, 1], [0, 1, 2, 0], "1 2 3", "labels 1, 2, 3 are the classes 0, 1, 2"),
        ([1, -1, 1], [1, 0, 1], "-1 1", "labels -1, 1 are the classes 0, 1"),
        ([10, 2, 1, 2], [2, 1, 0, 1], "1 2 10", "labels 1, 2, 10 are the classes 0, 1, 2"),
        ([2019, 2021, 2020, 2021], [0, 2, 1, 2], "2019 2020 2021", "labels 2019, 2020, 2021 are the cl"),
        ([2.0, 1.0, 2.0], [1, 0, 1], "1 2", "labels 1, 2 are the classes 0, 1"),
        ([0.5, 4.0, 0.5], [0, 1, 0], "0.5 4", "labels 0.5, 4 are the classes 0, 1"),
        ([Decimal("1.5"), Decimal("0.5"), Decimal("1.5")], [1, 0, 1], "0.5 1.5", "labels 0.5, 1.5 are the"),
        ([0, 3, 1, 3], [0, 2, 1, 2], "0 1 3", "labels 0, 1, 3 are the classes 0, 1, 2"),
        ([0, 2, 1], [0, 2, 1], "0 1 2", None),
        ([0.0, 1.0, 2.0], [0, 1, 2], "0 1 2", None),
        ([True, False, True], [1, 0, 1], "false true", None),
        (["10", "2", "1"], [1, 2, 0], "1 10 2", None),
        ([datetime.date(2026, 3, 1), datetime.date(2025, 9, 1)], [1, 0], "2025-09-01 2026-03-01", None),
    ],
)
def test_any_values_become_classes_in_their_order(load, labels, indices, names, mapping) -> None:
    source = load(*labels)
    assert source.labels.tolist() == indices
    assert source.class_names == tuple(names.split())
    assert len(source.notes) == (mapping is not None)
    assert mapping is None or source.notes[0].startswith(mapping)


def test_an_integer_column_with_missing_labels_may_have_become_floats(load) -> None:
    source = load(0.0, float("nan"), 1.0, None, bad_rows="skip")
    assert source.labels.tolist() == [0, 1]
    assert source.class_names == ("0", "1")
    assert source.skipped_rows == 2


@pytest.mark.parametrize("labels", [[0, 1, -1, 1], [0, 1, 99999, 1]])
def test_a_mark_of_unknown_labels_is_no_class_beside_indices(load, labels) -> None:
    with pytest.raises(
        DataError, match=rf"label {labels[2]} in row 2 .* none of the 2 classes of train; use"
    ):
        load(*labels)
    assert load(*labels, bad_rows="skip").labels.tolist() == [0, 1, 1]


def test_too_many_numbers_are_no_classes(load) -> None:
    with pytest.raises(DataError, match="30 different numbers in 30 rows are no classes; name another"):
        load(*[number + 0.5 for number in range(30)])


@pytest.mark.parametrize(
    ("labels", "indices", "note"),
    [
        ([0, 1, 1], [0, 1, 1], None),
        ([0, 0], [0, 0], None),
        ([1, 2, 2], [0, 1, 1], "labels 1, 2 are the classes 0 (World), 1 (Sports)"),
    ],
)
def test_the_study_may_name_the_classes(load, labels, indices, note) -> None:
    source = load(*labels, class_names=["World", "Sports"])
    assert source.class_names == ("World", "Sports")
    assert source.labels.tolist() == indices
    assert source.notes == (() if note is None else (note,))


def test_names_must_fit_the_labels(load) -> None:
    with pytest.raises(
        DataError, match=r"class_names = .*: 2 names for 3 different labels; name each of 1, 2, 3"
    ):
        load(1, 2, 3, class_names=["a", "b"])
    with pytest.raises(
        DataError, match=r"class_names = .*: labels are text, which names their classes; leave"
    ):
        load("a", "b", class_names=["a", "b"])
    with pytest.raises(DataError, match=r"label -1 in row 2 of .* none of the 2 classes"):
        load(0, 1, -1, class_names=["a", "b"])


def test_white_space_around_a_label_makes_no_class(load) -> None:
    source = load("cat", "cat ", " dog", "dog")
    assert source.class_names == ("cat", "dog")
    assert source.labels.tolist() == [0, 0, 1, 1]
    assert source.warnings[0].startswith(
        "white space around 2 values of label is ignored, such as 'cat ' in row 1"
    )
    with pytest.raises(DataError, match="nothing but white space in row 1 of"):
        load("cat", "  ", "dog")


def test_classes_that_look_alike_are_named(load) -> None:
    assert load("cat", "Cat", "dog").warnings == ("classes 'Cat', 'cat' differ only in how they are written",)
    assert list(look_alikes(["caf\u00e9", "cafe\u0301", "tea"]))
    assert not list(look_alikes(["a", "b", "ab"]))


def test_labels_of_a_test_table_are_those_of_train(write_table) -> None:
    train = write_table({"x": [1.0, 2.0, 3.0], "label": [1, 2, 1]})
    test = write_table({"x": [1.0, 2.0], "label": [2.0, 1.0]}, "test.parquet")
    fields = {"source": "parquet", "train": str(train), "features": ["x"]}
    assert load_source(ParquetData(**fields, test=str(test))).test_labels.tolist() == [1, 0]
    other = write_table({"x": [1.0, 2.0], "label": [2, 3]}, "other.parquet")
    with pytest.raises(DataError, match=r"label 3 in row 1 of .*; fix the row; the labels of train are 1, 2"):
        load_source(ParquetData(**fields, test=str(other)))


def test_labels_between_two_classes_are_none() -> None:
    classes = find_classes(np.array([0.5, 1.5]), None, None)
    assert classes.indices(np.array([0.5, 1.0, 1.5, 9.0])).tolist() == [0, -1, 1, -1]
    assert classes.indices(np.array(["0.5"])).tolist() == [-1]
    assert Classes(("0", "1")).indices(np.array([1.0, 0.5])).tolist() == [1, -1]
