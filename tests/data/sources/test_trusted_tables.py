"""Tables of which somebody verified some labels, or all labels of a table of their own."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data import Source, load_source, make_splits
from l2rw_ray.data.known_noise import known_noise
from l2rw_ray.data.source import NO_CLASS
from l2rw_ray.errors import DataError
from l2rw_ray.events import ConfusionMatrix, KnownNoise

Write = Callable[..., Path]
LABELS = ["cat", "cat", "dog", "dog", "cat", "dog"]
CHECKED = ["cat", "dog", None, "dog", None, None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes columns as a CSV file."""

    def to(file: str, /, **columns: list[object]) -> Path:
        path = tmp_path / file
        rows = [
            ",".join("" if value is None else str(value) for value in row)
            for row in zip(*columns.values(), strict=True)
        ]
        path.write_text("\n".join([",".join(columns), *rows]) + "\n")
        return path

    return to


def load(train: Path, **options) -> Source:
    fields = {"source": "csv", "features": ("x",), "train": str(train)}
    return load_source(ParquetData(**fields, **{name: str(given) for name, given in options.items()}))


def train_table(write: Write, **more: list[object]) -> Path:
    return write("train.csv", x=list(range(6)), label=LABELS, checked=CHECKED, **more)


def test_a_verified_label_counts_where_there_is_one(write) -> None:
    source = load(train_table(write), verified_label="checked")
    assert source.class_names == ("cat", "dog")
    assert source.labels.tolist() == [0, 1, 1, 1, 0, 1], "verified where known, else as given"
    assert source.train_labels.tolist() == [0, 0, 1, 1, 0, 1]
    assert source.verified.tolist() == [True, True, False, True, False, False]
    assert known_noise(source) == KnownNoise(3, 1, ConfusionMatrix(("cat", "dog"), ((1, 0), (1, 1))))


def test_a_row_with_a_verified_label_alone_does_not_train_by_default(write) -> None:
    path = write("train.csv", x=[0, 1, 2], label=["a", None, "b"], checked=[None, "b", None])
    source = load(path, verified_label="checked")
    assert source.train_labels.tolist() == [0, NO_CLASS, 1]
    assert source.may_train.tolist() == [True, False, True]
    assert known_noise(source) is None


def test_a_column_without_any_value_verifies_nothing(write) -> None:
    path = write("train.csv", x=[0, 1], label=["a", "b"], checked=[None, None])
    assert not load(path, verified_label="checked").verified.any()


def test_a_class_that_was_only_ever_verified_is_a_class(write) -> None:
    source = load(write("train.csv", x=[0, 1], label=[0, 0], checked=[1, None]), verified_label="checked")
    assert source.class_names == ("0", "1")


def test_a_row_without_any_label_is_an_error_or_left_out(write) -> None:
    path = write(
        "train.csv", x=[0, 1, 2], label=["a", None, "b"], checked=["a", None, None], name=["u", "v", "w"]
    )
    with pytest.raises(
        DataError, match=r"label = 'label': null in row 1 of .*, and so is checked; fill in one"
    ):
        load(path, verified_label="checked")
    source = load(path, verified_label="checked", bad_rows="skip", id="name")
    assert source.verified.tolist() == [True, False]
    assert list(source.ids) == ["u", "w"]


def test_labels_of_a_trusted_table_are_verified_and_were_never_given(write) -> None:
    trusted = write("trusted.csv", x=[9, 8], label=["dog", "cat"])
    source = load(train_table(write), trusted=trusted)
    assert source.inputs[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 9, 8]
    assert source.verified.tolist() == [False] * 6 + [True] * 2
    assert source.labels.tolist() == [0, 0, 1, 1, 0, 1, 1, 0]
    assert source.train_labels.tolist() == [0, 0, 1, 1, 0, 1, NO_CLASS, NO_CLASS]
    assert list(source.ids)[5:] == ["train.csv:5", "trusted.csv:0", "trusted.csv:1"]


def test_a_trusted_table_may_have_both_labels(write) -> None:
    trusted = write("trusted.csv", x=[9, 8], label=["dog", None], checked=["cat", "cat"])
    source = load(train_table(write), trusted=trusted, verified_label="checked")
    assert source.labels[6:].tolist() == [0, 0]
    assert source.train_labels[6:].tolist() == [1, NO_CLASS]
    other = write("other.csv", x=[9, 8], label=["dog", "cat"], checked=["cat", None])
    with pytest.raises(DataError, match=r"verified_label = 'checked': null in row 1 of .*other.csv"):
        load(train_table(write), trusted=other, verified_label="checked")


def test_tables_of_fixed_sets_are_pools_of_their_own(write) -> None:
    meta = write("meta.csv", x=[10, 11], label=["cat", "dog"])
    validation = write("validation.csv", x=[20, 21, 22], label=["cat", "dog", "dog"])
    test = write("test.csv", x=[30, 31], label=["dog", "cat"])
    data = ParquetData(
        source="csv",
        features=("x",),
        train=str(train_table(write)),
        meta=str(meta),
        validation=str(validation),
        test=str(test),
    )
    splits = make_splits(load_source(data), data, seed=3)
    assert splits.train.rows.sort().values.tolist() == list(range(6)), "no row of train is verified"
    assert splits.train.unverified.all()
    for name, values in (("meta", [10, 11]), ("validation", [20, 21, 22]), ("test", [30, 31])):
        examples = getattr(splits, name)
        x = examples.inputs_of(torch.arange(len(examples)))[:, 0]
        assert sorted(x.tolist()) == values
        assert examples.unverified is None
    assert splits.validation.identities(torch.arange(3)) != ["0", "1", "2"]
    assert set(splits.validation.identities(torch.arange(3))) == {f"validation.csv:{row}" for row in range(3)}
    assert set(splits.test.identities(torch.arange(2))) == {"test.csv:0", "test.csv:1"}


def test_skipped_rows_move_no_pool(write) -> None:
    path = write("train.csv", x=[0, None, 2], label=["a", "b", "b"])
    meta = write("meta.csv", x=[None, 10, 11], label=["a", "a", "b"])
    source = load(path, meta=meta, bad_rows="skip")
    assert dict(source.pools) == {"meta": range(2, 4)}
    assert list(source.ids) == ["train.csv:0", "train.csv:2", "meta.csv:1", "meta.csv:2"]


def test_a_file_in_two_sets_is_an_error(write, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    train_table(write)
    write("all/a.csv", x=[1], label=["cat"])
    write("all/b.csv", x=[2], label=["dog"])
    with pytest.raises(
        DataError, match=r"trusted = .*b.csv': its file .*b.csv is in train, too; move it out"
    ):
        load(tmp_path / "all", trusted=tmp_path / "all" / "b.csv")


def test_an_id_in_two_rows_is_an_error_wherever_they_are(write) -> None:
    train, trusted = (
        train_table(write, name=list("uvwxyz")),
        write("trusted.csv", x=[7], label=["cat"], name=["v"]),
    )
    with pytest.raises(DataError, match=r"id = 'name': v occurs 2 times in the tables of this section; keep"):
        load(train, trusted=trusted, id="name")
    test = write("test.csv", x=[7, 8, 9], label=["cat", "dog", "cat"], name=["u", "z", "q"])
    with pytest.raises(
        DataError, match="u occurs 2 times in the tables of this section, and 1 others are not"
    ):
        load(train, test=test, id="name")


def test_a_group_in_two_fixed_sets_is_an_error(write) -> None:
    train = train_table(write, who=list("aabbcc"))
    meta = write("meta.csv", x=[1, 2], label=["cat", "dog"], who=["c", "d"])
    with pytest.raises(
        DataError,
        match=r"group = 'who': 1 groups are in train and in meta, such as c; leave trial.data.meta out",
    ):
        load(train, meta=meta, group="who")


def test_text_beside_integers_is_an_error(write) -> None:
    path = write("train.csv", x=[0, 1], label=["a", "b"], checked=[1, 0])
    with pytest.raises(DataError, match="labels are text in some columns and numbers in others; write them"):
        load(path, verified_label="checked")


def test_targets_are_verified_alike(write) -> None:
    path = write("train.csv", x=list(range(5)), price=[1, 2, 3, None, 50], checked=[1, 4, None, 6, None])
    source = load(path, target="price", verified_target="checked")
    assert source.targets.tolist() == [1, 4, 3, 6, 50]
    assert source.train_targets[[0, 1, 2, 4]].tolist() == [1, 2, 3, 50]
    assert source.verified.tolist() == [True, True, False, True, False]
    assert source.may_train.tolist() == [True, True, True, False, True]
    assert known_noise(source) == KnownNoise(2, 1, rmse=pytest.approx(2**0.5))
    below = load(path, target="price", verified_target="checked", target_below=5)
    assert (below.left_out, below.verified.tolist(), list(below.ids)) == (
        2,
        [True, True, False],
        [f"train.csv:{row}" for row in range(3)],
    )


@pytest.mark.parametrize("below", [None, 4])
def test_targets_of_which_none_is_verified_say_what_is_missing(write, below) -> None:
    path = write("train.csv", x=list(range(5)), price=[1, 2, 3, 4, 5], checked=[None] * 5)
    fields = {"source": "csv", "features": ("x",), "train": str(path), "target": "price"}
    config = ParquetData(**fields, verified_target="checked", target_below=below)
    with pytest.raises(DataError, match="no example has a verified target to test on; name test, trusted"):
        make_splits(load_source(config), config, 0)


def test_a_row_without_any_target_is_an_error(write) -> None:
    path = write("train.csv", x=[0, 1], price=[1, None], checked=[None, None])
    with pytest.raises(DataError, match=r"target = 'price': null in row 1 of .*, and so is checked"):
        load(path, target="price", verified_target="checked")


def test_streamed_sets_are_those_of_the_same_tables_in_memory(
    tmp_path: Path, write_table: Write, pixels, encode
) -> None:
    images, options = [encode(image) for image in pixels], {"source": "parquet", "train_size": 4}
    train = {"image": images[:8], "label": [i % 2 for i in range(8)]}
    options |= {"train": str(write_table(train)), "validation_size": 2, "test_size": 2, "meta_per_class": 1}
    checked = pa.array([1, None, 0, 1, None, None, None, None], pa.int64())
    options["train"] = str(write_table(train | {"checked": checked}))
    options["trusted"] = str(write_table({"image": images[8:], "label": [0, 1, 1, 0]}, "trusted.parquet"))
    data = ParquetData(**options, verified_label="checked")
    streamed = ParquetData(**options, verified_label="checked", stream={"window": 4})
    held, read = (make_splits(load_source(each), each, seed=1) for each in (data, streamed))
    assert read.train.is_streamed
    assert read.hashes == held.hashes
    assert torch.equal(read.train.labels, held.train.labels)
    assert torch.equal(read.train.unverified, held.train.unverified)
    for name in ("meta", "validation", "test"):
        one, other = getattr(held, name), getattr(read, name)
        every = torch.arange(len(one))
        assert torch.equal(one.inputs_of(every), other.inputs_of(every))
        assert one.identities(every) == other.identities(every)
