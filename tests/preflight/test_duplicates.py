"""Content that two of the four sets share."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data import Source, Splits, make_splits
from l2rw_ray.data.categories.mixed_rows import CategoryColumn, MixedRows
from l2rw_ray.data.text.texts import Texts
from l2rw_ray.preflight.duplicates import ContentHashes, SharedContent

DATA = ParquetData(
    source="parquet", train="t", features=["a", "b"], meta_per_class=1, validation_size=4, test_size=4
)


@pytest.fixture
def source() -> Source:
    labels = torch.arange(40) % 2
    return Source(torch.arange(80, dtype=torch.float32).reshape(40, 2), labels, ("a", "b"))


def split(source: Source) -> Splits:
    return make_splits(source, DATA, 0)


def test_sets_of_different_content_share_none(source) -> None:
    hashes = ContentHashes(source)
    assert hashes.is_known
    assert hashes.shared(split(source)) == ()


def test_examples_of_equal_content_are_counted_by_pairs_of_sets(source) -> None:
    splits = split(source)
    same, two = splits.train.rows[0], splits.test.rows[:2]
    inputs = source.inputs.clone()
    inputs[two] = source.inputs[same]
    shared = ContentHashes(replace(source, inputs=inputs)).shared(splits)
    assert shared == (SharedContent("train", "test", 2, 4),)
    assert shared[0].text == "2 of 4 test examples have the inputs of a train example"


def test_a_test_file_and_trees_and_texts_are_looked_at_too(source) -> None:
    tree = {"x": source.inputs, "n": torch.arange(40)}
    own = replace(source, inputs=tree, test_inputs={"x": source.inputs[:4], "n": torch.arange(4)})
    own = replace(own, test_labels=source.labels[:4])
    splits = make_splits(own, DATA, 0)
    counts = {(pair.first, pair.second): pair.count for pair in ContentHashes(own).shared(splits)}
    assert sum(counts.values()) == 4
    assert {second for _, second in counts} == {"test"}
    texts = replace(source, inputs=Texts.of(["same"] * 40))
    assert len(ContentHashes(texts).shared(split(source))) == 6


def test_categories_are_compared_by_value_however_tables_number_them(source) -> None:
    column = CategoryColumn.of("colour", ["red", "blue", None, *map(str, range(37))])
    other = CategoryColumn.of("colour", ["blue", "red", "green", None])
    own = replace(source, inputs=MixedRows((column,), None), test_inputs=MixedRows((other,), None))
    own = replace(own, test_labels=source.labels[:4])
    hashes = ContentHashes(own)
    assert np.isin(hashes.of_test, hashes.of_rows).tolist() == [True, True, False, True]


def test_what_is_in_no_tensor_is_not_looked_at(source) -> None:
    assert not ContentHashes(replace(source, inputs={"x": source.inputs, "note": "constant"})).is_known
