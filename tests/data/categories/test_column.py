"""Categories of a table: read, refused, and numbered by what the train pool holds."""

import datetime as dt

import pyarrow as pa
import pytest
import torch

from l2rw_ray.config import parse_study
from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data import Splits, load_source, make_splits
from l2rw_ray.errors import DataError, InputError

COUNT = 60
ROWS = {
    "x": [float(number) for number in range(COUNT)],
    "own": [f"v{number}" for number in range(COUNT)],
    "kind": [("a", "b", None)[number % 3] for number in range(COUNT)],
    "label": [0, 1, 1] * (COUNT // 3),
}


def splits(path: object, seed: int = 0, **fields) -> Splits:
    config = ParquetData(source="parquet", train=str(path), **fields)
    return make_splits(load_source(config), config, seed)


def test_the_mapping_is_that_of_the_train_pool(write_table) -> None:
    drawn = splits(write_table(ROWS), categorical=("kind", "own"), validation_size=6)
    assert drawn.train.encoder.columns["kind"] == ("a", "b")
    assert len(drawn.train.encoder.columns["own"]) == len(drawn.train)
    for name in ("train", "meta", "validation", "test"):
        examples = getattr(drawn, name)
        x, _ = examples.take(torch.arange(len(examples)))
        assert x.keys() == {"categories"}
        kind, own = x["categories"].unbind(dim=1)
        assert ((own == 1) == (name != "train")).all()
        assert kind.tolist() == [{0: 2, 1: 3, 2: 0}[row % 3] for row in examples.rows.tolist()]
    assert drawn.train.input_sizes == {"category_sizes": (4, 2 + len(drawn.train))}


def test_features_beside_are_standardised_as_alone(write_table) -> None:
    path = write_table(ROWS)
    alone, beside = splits(path, features=("x",)), splits(path, features=("x",), categorical=("kind",))
    every = torch.arange(len(alone.train))
    x = beside.train.take(every)[0]
    assert torch.equal(x["features"], alone.train.take(every)[0])
    assert torch.equal(beside.train.take(every)[0]["features"], x["features"]), "and the store stays"
    assert beside.train.input_shape == {"features": (1,), "categories": (1,)}
    assert beside.train.scales.keys() == {"mean", "std"}


def test_a_test_table_has_its_own_values(write_table) -> None:
    train = write_table(ROWS)
    test = write_table({"kind": ["b", "c", None], "label": [0, 1, 0]}, "test.parquet")
    x, _ = splits(train, test=str(test), categorical=("kind",)).test.take(torch.arange(3))
    assert x["categories"].tolist() == [[3], [1], [0]]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (pa.array([3, 1] * 30, pa.int8()), ("1", "3")),
        (pa.array([True, False] * 30), ("false", "true")),
        (pa.array([dt.date(2024, 2, 1), dt.date(2024, 1, 2)] * 30), ("2024-01-02", "2024-02-01")),
        (pa.array(["b", "a"] * 30, pa.string_view()), ("a", "b")),
        (pa.array(["b", "a"] * 30).dictionary_encode(), ("a", "b")),
        (pa.nulls(60), ()),
    ],
)
def test_columns_of_every_kind_of_category(write_table, cells: pa.Array, values: tuple[str, ...]) -> None:
    drawn = splits(write_table(ROWS | {"own": cells}), categorical=("own",))
    assert drawn.train.encoder.columns["own"] == values


def test_numbers_are_no_categories(write_table) -> None:
    with pytest.raises(DataError) as caught:
        splits(write_table(ROWS), categorical=("x",))
    remedy = "use text, integers, booleans or dates, or name numbers under features"
    assert str(caught.value) == f"trial.data.categorical = 'x': the column is of type double; {remedy}"


def test_noise_follows_a_feature_beside_categories(write_table) -> None:
    path = write_table(ROWS)
    columns = {
        "features": ("x",),
        "target": "label",
        "meta_per_class": 1,
        "noise": {"kind": "gaussian", "scale": 1, "by": "x"},
    }
    alone, beside = splits(path, **columns), splits(path, **columns, categorical=("kind",))
    assert torch.equal(alone.train.targets, beside.train.targets)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"image": "i"}, "image = 'i': categories are named too; set one of the two to null"),
        ({"text": "t"}, "categorical = ['a']: texts are named too; set one of the two to null"),
        ({"label": "a"}, "categorical = 'a': the label is no feature; leave it out"),
        ({"features": ["a"]}, "categorical = 'a': features hold it too; name it in one of the two"),
        ({"categorical": ["a", "a"]}, "categorical = ['a', 'a']: a column is named twice; name each once"),
        ({"missing": "mean"}, "missing = 'mean': categories are never missing in part; leave it out"),
        ({"image_size": [8, 8]}, "image_size = [8, 8]: categories are no images; leave it out"),
    ],
)
def test_what_does_not_go_with_categories_is_refused(study_tree, fields, line) -> None:
    study_tree["trial"]["data"] = {"source": "parquet", "train": "t", "categorical": ["a"], **fields}
    with pytest.raises(InputError) as caught:
        parse_study(study_tree)
    assert line in str(caught.value)
