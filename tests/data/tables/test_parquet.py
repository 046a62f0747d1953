import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from l2rw_ray.config.data.sources import ImageFolderData, ParquetData
from l2rw_ray.data import Source, load_source
from l2rw_ray.errors import DataError


def load(train: object, **fields) -> Source:
    return load_source(ParquetData(source="parquet", train=str(train), **fields))


def complaint(train: object, **fields) -> str:
    with pytest.raises(DataError) as caught:
        load(train, **fields)
    message = str(caught.value)
    assert "\n" not in message
    return message


def channels_first(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())


def test_colour_images_and_integer_labels(image_table, pixels) -> None:
    source = load(image_table)
    assert source.inputs.dtype == torch.uint8
    assert torch.equal(source.inputs, channels_first(pixels))
    assert source.labels.dtype == torch.int64
    assert source.labels.tolist() == [0, 1, 2] * 4
    assert source.class_names == ("0", "1", "2")
    assert source.test_inputs is None
    assert source.test_labels is None


def test_what_was_decoded_is_not_decoded_again(image_table, monkeypatch) -> None:
    first = load(image_table)
    monkeypatch.setattr("l2rw_ray.data.images.column.decode_column", None)
    again = load(image_table)
    assert torch.equal(again.inputs, first.inputs)
    os.utime(image_table, ns=(1, 1))
    with pytest.raises(TypeError):
        load(image_table)


def test_grey_images_have_one_channel(pixels, encode, write_table) -> None:
    grey = [encode(image[..., 0]) for image in pixels]
    source = load(write_table({"image": grey, "label": [0, 1] * 6}))
    assert torch.equal(source.inputs, torch.from_numpy(pixels[..., 0]).unsqueeze(1))


def test_images_are_resized_as_those_of_a_folder(pixels, encode, write_table, tmp_path) -> None:
    images = [encode(image) for image in (*pixels[:5], pixels[5][:3], pixels[6][:, :2])]
    table = write_table({"image": images, "label": [0, 1, 0, 1, 0, 1, 0]})
    remedy = "set trial.data.image_size, such as [32, 32]"
    assert complaint(table).endswith(f"has shape (3, 3, 4), the first image has (3, 5, 4); {remedy}")
    source = load(table, image_size=(6, 7))
    folder = tmp_path / "photos"
    for number, image in enumerate(images):
        file = folder / str(number % 2) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(image)
    resized = load_source(ImageFolderData(source="image_folder", train=str(folder), image_size=(6, 7)))
    assert source.inputs.shape == (7, 3, 6, 7)
    assert torch.equal(source.inputs[[0, 2, 4, 6, 1, 3, 5]], resized.inputs)
    assert load(table, image_size=(2, 2)).inputs.shape == (7, 3, 2, 2)


@pytest.fixture(params=[0, 5, 11])
def one_grey(request, pixels, encode, write_table) -> tuple[Path, int]:
    """A table of images in colour but for one grey image; and where that is."""
    images = [encode(image) for image in pixels]
    images[request.param] = encode(pixels[request.param][..., 0])
    return write_table({"image": images, "label": [0, 1] * 6}), request.param


def test_images_are_read_in_colour_if_any_is(one_grey, pixels, monkeypatch) -> None:
    monkeypatch.setattr("l2rw_ray.data.tables.table_files.ROWS_AT_A_TIME", 4)
    table, row = one_grey
    expected = channels_first(pixels)
    expected[row] = expected[row, :1]
    for bad_rows in ("error", "skip"):
        assert torch.equal(load(table, bad_rows=bad_rows).inputs, expected)
    assert load(table, image_mode="rgb", image_size=(2, 2)).inputs.shape == (12, 3, 2, 2)


def test_colour_may_be_asked_away(one_grey, pixels) -> None:
    table, row = one_grey
    grey = load(table, image_mode="grey").inputs
    assert grey.shape == (12, 1, 5, 4)
    assert torch.equal(grey[row, 0], torch.from_numpy(pixels[row][..., 0]))
    streamed = load(table, image_mode="grey", stream={"window": 4}, test_size=3)
    assert torch.equal(streamed.take(torch.arange(12)), grey)


def test_a_streamed_image_in_colour_after_a_grey_one_is_named(pixels, encode, write_table) -> None:
    images = [encode(pixels[0][..., 0]), encode(pixels[1])]
    table = write_table({"image": images, "label": [0, 1]})
    source = load(table, stream={"window": 4}, test_size=1)
    problem = rf"row 1 of {table} is in colour, the first image is grey; set trial\.data\.image_mode to rgb"
    with pytest.raises(DataError, match=problem):
        source.take(torch.tensor([1]))
    fields = {"stream": {"window": 4}, "test_size": 1, "image_mode": "rgb"}
    assert torch.equal(load(table, **fields).take(torch.tensor([0, 1])), load(table).inputs)


def test_grey_test_images_beside_colour_are_refused_with_the_remedy(
    image_table, pixels, encode, write_table
) -> None:
    test = write_table({"image": [encode(pixels[0][..., 0])], "label": [0]}, "test.parquet")
    assert "those of train have (3, 5, 4); set trial.data.image_mode to rgb" in complaint(
        image_table, test=str(test)
    )
    assert load(image_table, test=str(test), image_mode="rgb").test_inputs.shape == (1, 3, 5, 4)


def test_images_inside_structs_and_other_codecs(pixels, encode, write_table) -> None:
    images = [{"bytes": encode(image, "BMP"), "path": None} for image in pixels]
    assert torch.equal(
        load(write_table({"image": images, "label": [0, 1] * 6})).inputs, channels_first(pixels)
    )


def test_a_folder_is_one_table_in_order_of_names(pixels, encode, write_table) -> None:
    for name, part in (("b", slice(7, 12)), ("a", slice(0, 7)), ("_hidden", slice(0, 3))):
        images = [encode(image) for image in pixels[part]]
        labels = list(range(12))[part]
        path = write_table({"image": images, "label": labels}, f"parts/{name}.parquet")
    (path.parent / "notes.txt").write_text("no table")
    source = load(path.parent)
    assert torch.equal(source.inputs, channels_first(pixels))
    assert source.labels.tolist() == list(range(12))


def test_uris_and_home_are_understood(image_table, monkeypatch) -> None:
    assert len(load(f"file://{image_table}").labels) == 12
    monkeypatch.setenv("HOME", str(image_table.parent))
    assert len(load(f"~/{image_table.name}").labels) == 12


def test_more_rows_than_are_read_at_a_time(pixels, encode, write_table) -> None:
    images = [encode(image) for image in pixels] * 100
    table = write_table({"image": images, "label": list(range(12)) * 100})
    assert torch.equal(load(table).inputs, channels_first(pixels).repeat(100, 1, 1, 1))


def test_names_of_the_classes_come_from_the_metadata(write_table) -> None:
    table = write_table({"x": [1.0, 2.0], "label": [1, 0]}, class_names=["cat", "dog", "newt"])
    assert load(table, features=["x"]).class_names == ("cat", "dog", "newt")


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int32(), pa.string()),
    ],
    ids=str,
)
def test_text_labels_become_sorted_classes(write_table, kind) -> None:
    labels = pa.array(["newt", "cat", "dog", "cat"], pa.string()).cast(kind)
    source = load(write_table({"x": [1.0, 2.0, 3.0, 4.0], "kind": labels}), features=["x"], label="kind")
    assert source.class_names == ("cat", "dog", "newt")
    assert source.labels.tolist() == [2, 0, 1, 0]


@pytest.mark.parametrize("is_struct", [False, True])
def test_images_may_be_views_of_bytes(image_table, pixels, encode, write_table, is_struct) -> None:
    views = pa.array([encode(image) for image in pixels], pa.binary_view())
    column = pa.StructArray.from_arrays([views], ["bytes"]) if is_struct else views
    table = write_table({"image": column, "label": [i % 3 for i in range(12)]}, "views.parquet")
    assert torch.equal(load(table).inputs, load(image_table).inputs)
    streamed = load(table, stream={"window": 4}, test_size=3)
    assert torch.equal(streamed.take(torch.tensor([7, 2])), channels_first(pixels[[7, 2]]))


def test_features_keep_the_order_they_are_named_in(write_table) -> None:
    table = write_table({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False], "label": [0, 1]})
    source = load(table, features=["b", "a", "c"])
    assert source.inputs.dtype == torch.float32
    assert source.inputs.tolist() == [[0.5, 1, 1], [1.5, 2, 0]]


def test_a_test_table_uses_the_train_tables_classes(write_table) -> None:
    train = write_table({"x": [1.0, 2.0], "label": ["b", "a"]})
    test = write_table({"x": [3.0], "label": ["b"]}, "test.parquet")
    source = load(train, test=str(test), features=["x"])
    assert source.test_inputs.tolist() == [[3.0]]
    assert source.test_labels.tolist() == [1]
    assert source.labels.tolist() == [1, 0]


def test_labels_without_a_gap_may_be_as_many_as_rows(write_table) -> None:
    table = write_table({"x": [1.0, 2.0], "label": [1, 0]})
    assert load(table, features=["x"]).class_names == ("0", "1")


def test_a_test_label_that_train_lacks_is_refused(write_table) -> None:
    train = write_table({"x": [1.0, 2.0], "label": ["b", "a"]})
    test = write_table({"x": [3.0, 1.0], "label": ["b", "c"]}, "test.parquet")
    message = complaint(train, test=str(test), features=["x"])
    assert f"label c in row 1 of {test} is none of the 2 classes of train" in message


def test_test_images_of_another_size_are_refused(image_table, pixels, encode, write_table) -> None:
    test = write_table({"image": [encode(pixels[0][:3])], "label": [0]}, "test.parquet")
    message = complaint(image_table, test=str(test))
    assert "inputs of shape (3, 3, 4), those of train have (3, 5, 4)" in message


def test_what_is_no_table_is_refused(tmp_path, write_table) -> None:
    missing, text, empty = tmp_path / "none.parquet", tmp_path / "text.parquet", tmp_path / "empty"
    text.write_text("no Parquet file, but long enough to hold a footer")
    empty.mkdir()
    for given in (missing, empty):
        assert complaint(given).startswith("trial.data.train = '/")
        end = f"{given.name}': no Parquet file there; give a file, a folder or a URI"
        assert complaint(given).endswith(end)
    assert f"{text.name}': no readable Parquet file (" in complaint(text)
    assert "cannot be opened (Unrecognized filesystem" in complaint("s4://bucket/train.parquet")
    nothing = write_table({"x": pa.array([], pa.float32()), "label": pa.array([], pa.int8())})
    assert "the table has no rows" in complaint(nothing, features=["x"])


def test_a_file_damaged_inside_is_refused(image_table) -> None:
    content = bytearray(image_table.read_bytes())
    content[4:400] = b"\xff" * 396
    image_table.write_bytes(content)
    assert f"{image_table.name}" in complaint(image_table)


def test_a_wrong_column_is_refused_with_those_that_exist(image_table) -> None:
    end = f"no such column in {image_table}; did you mean 'label'? the columns are image, label"
    assert complaint(image_table, label="lable") == f"trial.data.label = 'lable': {end}"
    message = complaint(image_table, image="zzz")
    assert message.endswith(f"no such column in {image_table}; the columns are image, label")
    assert "trial.data.features = 'x': no such column" in complaint(image_table, features=["x"])


def test_a_column_of_the_wrong_type_is_refused(write_table) -> None:
    table = write_table({"x": ["one", "two"], "y": [0.0, 1.0], "z": [[0], [1]], "label": [0, 1]})
    assert "'x': the column is of type string; name numeric" in complaint(table, features=["x"])
    assert "'z': values are of type list<element: int64>; use num" in complaint(table, image="x", label="z")
    assert "'y': the column is of type double; name a column of enc" in complaint(table, image="y")


@pytest.mark.parametrize("column", [[b"PNG?", None], [None, b""], [b"", b""]])
def test_the_first_image_may_be_broken_too(write_table, column) -> None:
    table = write_table({"image": pa.array(column, pa.binary()), "label": [0, 1]})
    assert f"trial.data.image = 'image': row 0 of {table} " in complaint(table)


def test_an_undecodable_image_is_named_by_file_and_row(pixels, encode, write_table) -> None:
    good = [encode(image, "JPEG") for image in pixels]
    write_table({"image": good, "label": [0] * 12}, "parts/a.parquet")
    bad = write_table({"image": [*good[:4], good[4][:200], None], "label": [1] * 6}, "parts/b.parquet")
    message = complaint(bad.parent)
    assert message == (
        f"trial.data.image = 'image': row 4 of {bad} is no readable image; "
        "fix it, drop it, or set trial.data.bad_rows to skip"
    )


def test_a_missing_image_is_named(pixels, encode, write_table) -> None:
    table = write_table({"image": [encode(pixels[0]), None], "label": [0, 1]})
    assert f"row 1 of {table} holds no image" in complaint(table)


def test_an_image_of_another_size_is_named(pixels, encode, write_table) -> None:
    table = write_table({"image": [encode(pixels[0]), encode(pixels[1][:4])], "label": [0, 1]})
    assert f"row 1 of {table} has shape (3, 4, 4), the first image has (3, 5, 4)" in complaint(table)


def test_deep_images_are_refused_rather_than_clipped(pixels, encode, write_table) -> None:
    deep = encode(pixels[0][..., 0].astype(np.uint16) * 256)
    message = complaint(write_table({"image": [deep, deep], "label": [0, 1]}))
    assert "row 0 of" in message
    assert "more than 8 bits" in message


@pytest.mark.parametrize(
    ("values", "shown"),
    [([1.0, None, 2.0], "null"), ([1.0, float("nan"), 2.0], "nan"), ([1.0, 1e39, 2.0], "1e+39")],
)
def test_a_feature_that_is_no_finite_number_is_named(write_table, values, shown) -> None:
    table = write_table({"a": [1, 2, 3], "b": values, "label": [0, 1, 0]})
    message = complaint(table, features=["a", "b"])
    assert message.startswith(f"trial.data.features = 'b': {shown} in row 1 of {table}; ")


@pytest.mark.parametrize(
    ("labels", "part"),
    [
        ([0, None, 1], "null in row 1 of"),
        ([0, 1, -1], "label -1 in row 2 of"),
        (["a", None, "b"], "null in row 1 of"),
        ([0, 7_000_000_000, 1], "label 7000000000 in row 1 of"),
    ],
)
def test_an_unusable_label_is_named(write_table, labels, part) -> None:
    table = write_table({"x": [1.0, 2.0, 3.0], "label": labels})
    assert f"trial.data.label = 'label': {part}" in complaint(table, features=["x"])


def test_a_label_outside_the_named_classes_is_refused(write_table) -> None:
    table = write_table({"x": [1.0, 2.0], "label": [0, 2]}, class_names=["cat", "dog"])
    message = complaint(table, features=["x"])
    assert f"label 2 in row 1 of {table} is none of the 2 classes of train" in message


@pytest.mark.parametrize("names", ["{", '"cat"', "[]", '["cat", "cat"]', "3"])
def test_class_names_that_are_no_list_are_refused(write_table, names) -> None:
    table = write_table({"x": [1.0, 2.0], "label": [0, 1]}, class_names=names)
    assert "class_names in the metadata" in complaint(table, features=["x"])


def test_a_file_that_vanished_is_refused(image_table, monkeypatch) -> None:
    def vanish(*arguments: object, **options: object) -> Path:
        raise FileNotFoundError(2, "No such file", str(image_table))

    monkeypatch.setattr(pq, "ParquetFile", vanish)
    assert "no readable Parquet file" in complaint(image_table)


def test_groups_are_read_and_may_not_reach_into_the_test_table(write_table) -> None:
    columns = {"x": [1.0, 2.0, 3.0, 4.0], "label": [0, 1, 0, 1], "patient": ["b", "a", "b", "c"]}
    train = write_table(columns)
    assert load(train, features=["x"], group="patient").groups.tolist() == [1, 0, 1, 2]
    other = write_table(columns | {"patient": ["d", "e", "f", "g"]}, "other.parquet")
    assert load(train, features=["x"], group="patient", test=str(other)).groups.tolist() == [1, 0, 1, 2]
    same = write_table(columns, "same.parquet")
    with pytest.raises(DataError, match=r"3 groups are in train and in test, such as a; leave"):
        load(train, features=["x"], group="patient", test=str(same))
    with pytest.raises(DataError, match=r"trial\.data\.group = 'lesion'"):
        load(train, features=["x"], group="lesion")


def test_bad_rows_are_skipped_and_counted(pixels, encode, write_table) -> None:
    images = [encode(image) for image in pixels[:6]]
    images[0], images[3] = images[0][:40], None
    columns = {"image": images, "label": [0, 1, 9, 1, 0, 1], "patient": ["a", "b", "c", "d", None, "e"]}
    table = write_table(columns, class_names=["cat", "dog"])
    test = write_table({"image": [images[1], b""], "label": [1, 0]}, "test.parquet")
    for _ in range(2):  # decoded, then from the cache
        source = load(table, bad_rows="skip", group="patient")
        assert torch.equal(source.inputs, channels_first(pixels[[1, 5]]))
        assert source.labels.tolist() == [1, 1]
        assert source.groups.tolist() == [0, 1]
        assert source.skipped_rows == 4
        assert [(part.count, part.first) for part in source.skipped] == [
            (1, f"patient: null in row 4 of {table}"),
            (2, f"image: row 0 of {table} is no readable image"),
            (1, f"label: label 9 in row 2 of {table} is none of the 2 classes of train"),
        ]
    assert load(table, test=str(test), bad_rows="skip").skipped_rows == 4
    assert "patient" in complaint(table, group="patient")


def test_features_that_are_no_number_are_skipped(write_table) -> None:
    table = write_table({"x": [1.0, float("nan"), 3.0, None], "y": [1, 2, 3, 4], "label": [0, 1, 1, 0]})
    source = load(table, features=["y", "x"], bad_rows="skip")
    assert source.inputs.tolist() == [[1, 1], [3, 3]]
    assert [(part.count, part.first) for part in source.skipped] == [(2, f"x: nan in row 1 of {table}")]


def test_nothing_changes_where_no_row_is_bad(image_table) -> None:
    strict, skipping = load(image_table), load(image_table, bad_rows="skip")
    assert torch.equal(strict.inputs, skipping.inputs)
    assert torch.equal(strict.labels, skipping.labels)
    assert skipping.skipped == ()


def test_integer_labels_are_no_indices_of_named_classes(write_table) -> None:
    train = write_table({"x": [1.0, 2.0], "label": ["b", "a"]})
    test = write_table({"x": [3.0], "label": [1]}, "test.parquet")
    assert "label 1 in row 0" in complaint(train, test=str(test), features=["x"])


def test_weight_features_are_columns_of_the_train_table_alone(write_table, pixels, encode) -> None:
    columns = {"image": [encode(image) for image in pixels], "label": [0, 1] * 6}
    known = {"age": list(range(12)), "sure": [0.5] * 12}
    train, test = write_table(columns | known), write_table(columns, "test.parquet")
    assert load(train).weight_features is None
    for named in ({}, {"test": str(test)}):
        found = load(train, weight_features=["sure", "age"], **named).weight_features
        assert found.dtype == torch.float32
        assert found.tolist() == [[0.5, age] for age in range(12)]
    assert complaint(train, weight_features=["agee"]).startswith("trial.data.weight_features = 'agee': ")
    assert "the column is of type binary" in complaint(train, weight_features=["image"])
    holed = write_table(columns | {"age": [None, *range(11)]}, "holed.parquet")
    message = complaint(holed, weight_features=["age"])
    assert message.startswith("trial.data.weight_features = 'age': null in row 0 of")
