"""What `data check` says of labels of which some are verified."""

import pytest
import torch

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data import Source
from l2rw_ray.preflight.label_summary import label_summary, scarce_classes, set_origins

TABLE = {"source": "csv", "train": "train.csv", "features": ["x"]}


@pytest.fixture
def source() -> Source:
    labels, given = torch.tensor([0, 0, 0, 1, 1, 0]), torch.tensor([0, 1, 0, 1, 1, -1])
    verified = torch.tensor([True, True, False, True, False, True])
    return Source(torch.zeros(6, 1), labels, ("cat", "dog"), train_labels=given, verified=verified)


def test_given_and_verified_labels_are_counted_by_class(source) -> None:
    labels = label_summary(source)
    assert (labels.examples, labels.given, labels.verified) == (6, (2, 3), (3, 1))
    assert (labels.noise.examples, labels.noise.wrong) == (3, 1)
    low, high = labels.rate_interval
    assert low < 1 / 3 < high
    assert label_summary(Source(source.inputs, source.labels, source.class_names)) is None


def test_classes_with_too_few_verified_examples_are_named_with_their_numbers(source) -> None:
    data = ParquetData(**TABLE, verified_label="v", meta_per_class=2, validation_size=1)
    assert scarce_classes(data, source) == ("cat (3 of 4)", "dog (1 of 4)")
    data = ParquetData(**TABLE, verified_label="v", meta_per_class=1)
    assert scarce_classes(data, source) == ("dog (1 of 2)",)


@pytest.mark.parametrize(
    ("options", "origins"),
    [
        ({}, {"meta": "the verified examples", "validation": "the verified examples"}),
        (
            {"validation_labels": "given", "validation_size": 2},
            {
                "validation": "the examples without a verified label; nobody verified its labels, "
                "so selection sees noise"
            },
        ),
        (
            {"left_verified": "verified"},
            {"train": "what the others leave, with its verified label where it has one"},
        ),
        ({"meta": "meta.csv"}, {"meta": "meta.csv, for it alone", "test": "the verified examples"}),
    ],
)
def test_each_set_says_where_it_comes_from(source, options, origins) -> None:
    found = set_origins(ParquetData(**TABLE, verified_label="v", **options), source)
    assert list(found) == ["train", "meta", "validation", "test"]
    assert origins.items() <= found.items()


def test_sets_of_one_pool_have_no_origin_to_tell(source) -> None:
    assert set_origins(ParquetData(**TABLE), Source(source.inputs, source.labels, source.class_names)) == {}
