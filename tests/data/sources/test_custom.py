"""A custom source is used as it is, or refused with what it should have been."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from l2rw_ray.config.data.sources import CustomData
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.errors import InputError

WriteCode = Callable[[str, str], Path]

_LOADER = """
import torch
from l2rw_ray.data import Source

def load(count=60):
    inputs, labels, test = torch.randn(count, 3), torch.arange(count) % 3, {}
    CHANGE
    return Source(inputs, labels, ("a", "b", "c"), **test)
"""


def _write(write_code: WriteCode, change: str = "") -> None:
    write_code("own_data.py", _LOADER.replace("CHANGE", change))


def test_options_arrive_and_protocols_apply(write_code: WriteCode) -> None:
    _write(write_code)
    config = CustomData(
        source="own_data:load",
        options={"count": 90},
        train_size=30,
        meta_per_class=2,
        validation_size=15,
        bias={"kind": "dominant_class", "level": 0.5, "class": "b"},
        noise={"kind": "uniform", "rate": 0.5},
    )
    splits = make_splits(load_source(config), config, seed=0)
    assert [len(each) for each in (splits.train, splits.meta, splits.validation)] == [30, 6, 15]
    assert splits.train.corrupted.sum() == 15
    assert splits.class_names == ("a", "b", "c")


def test_a_loader_that_draws_gives_every_process_the_same_examples(write_code: WriteCode) -> None:
    _write(write_code)
    config = CustomData(source="own_data:load")
    first = load_source(config)
    torch.rand(3)
    assert torch.equal(load_source(config).inputs, first.inputs)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("return inputs", "returned a Tensor; return a l2rw_ray.data.Source"),
        ("inputs = inputs.numpy()", "inputs are a ndarray; give images as uint8 [N, C, H, W], or"),
        ("test = {'groups': labels.float()}", "groups are float32 [60]; give indices as int64 [60], or None"),
        (
            "test = {'weight_features': labels.float()}",
            "weight_features are float32 [60]; give them as float32 [60, F], or None",
        ),
        (
            "test = {'weight_features': inputs[:9]}",
            "weight_features are float32 [9, 3]; give them as float32 [60, F], or None",
        ),
        ("test = {'weight_features': inputs / 0}", "weight_features are not all finite; fill in what is"),
        (
            "test = {'train_labels': labels[:9]}",
            "train_labels are int64 [9]; give class indices as",
        ),
        ("test = {'train_labels': labels + 1}", "train_labels reach from 1 to 3; give indices below 3"),
        (
            "test = {'train_targets': inputs[:, 0]}",
            "has train_targets, and no targets; make it by",
        ),
        ("test = {'verified': labels}", "verified are int64 [60]; give bool [60], or None"),
        ("test = {'ids': ['a'] * 9}", "ids are no 60 texts; give a text for each example, or None"),
        ("test = {'ids': ['a'] * 60}", "ids occur more than once; give each example one of its own"),
        ("test = {'pools': {'test': range(3)}}", "pools have test in range(0, 3); give ranges below 60 to"),
        (
            "test = {'pools': {'meta': range(3)}, 'verified': labels == 1}",
            "pools have meta examples that are not verified; leave those out of the pool",
        ),
        ("inputs = inputs.double()", "inputs are float64 [60, 3]; give images as uint8 [N, C, H, W], or"),
        ("inputs[1, 1] = torch.nan", "inputs are not all finite; fill in"),
        ("labels = labels.int()", "labels are int32 [60]; give class indices as int64 [60]"),
        ("labels = labels[:9]", "labels are int64 [9]; give class indices as int64 [60]"),
        ("labels = labels + 1", "labels reach from 1 to 3; give indices below 3, the number of class_names"),
        ("test = {'test_inputs': inputs}", "has test inputs or test labels, but not both"),
        (
            "test = {'test_inputs': inputs[:, :2], 'test_labels': labels}",
            "test_inputs are not of the form that inputs are; give both one form",
        ),
        (
            "test = {'test_inputs': inputs, 'test_labels': labels - 1}",
            "test_labels reach from -1 to 1; give indices below 3",
        ),
        (
            "test = {'test_inputs': inputs[:0], 'test_labels': labels[:0]}",
            "has a test set without examples; fill it, or leave it out",
        ),
        ("test = {'difficulty': labels}", "difficulty is int64 [60]; give numbers as float32 [60], or None"),
        (
            "raise ValueError('no disk')",
            "raised ValueError: no disk (own_data.py, line 7); fix the error in your code",
        ),
    ],
)
def test_what_is_no_source_is_refused(write_code: WriteCode, change: str, line: str) -> None:
    _write(write_code, change)
    with pytest.raises(InputError) as raised:
        load_source(CustomData(source="own_data:load"))
    assert str(raised.value).startswith("trial.data.source = 'own_data:load': ")
    assert line in str(raised.value)


_TREE = "inputs = {'ids': torch.randint(9, (count, 4)), 'parts': (torch.randn(count, 2, 2), labels > 1)}"


def test_inputs_may_be_a_tree(write_code: WriteCode) -> None:
    _write(write_code, f"{_TREE}; test = {{'test_inputs': inputs, 'test_labels': labels}}")
    config = CustomData(source="own_data:load", train_size=30, noise={"kind": "uniform", "rate": 0.5})
    source = load_source(config)
    splits = make_splits(source, config, seed=0)
    assert splits.train.input_shape == {"ids": (4,), "parts": ((2, 2), ())}
    (x, y), (_, flags) = splits.train.take(torch.arange(30)), splits.test.take(torch.arange(60))
    assert torch.equal(x["ids"], source.inputs["ids"][splits.train.rows])
    assert torch.equal(x["parts"][0], source.inputs["parts"][0][splits.train.rows]), "it is not standardised"
    assert (y != source.labels[splits.train.rows]).sum() == 15
    assert torch.equal(flags, source.test_labels)
    assert splits.hashes["train"] == make_splits(source, config, seed=0).hashes["train"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("inputs['ids'] = inputs['ids'][:9]", "has 9 rows of inputs.ids and 60 rows of inputs.parts.0; give"),
        ("inputs['text'] = ['a'] * count", "inputs.text.0 is a str; give a dense tensor with a row per"),
        ("inputs['size'] = torch.tensor(4)", "inputs.size is int64 []; give a dense tensor with a row per"),
        ("inputs['ids'] = inputs['ids'].to_sparse()", "inputs.ids is int64 [60, 4]; give a dense tensor"),
        ("inputs['parts'][0][3] = torch.nan", "inputs.parts.0 has NaN; fill in what is missing"),
        ("inputs = {}", "inputs are a dict; give images as uint8 [N, C, H, W], or"),
        ("labels = labels[:9]", "labels are int64 [9]; give class indices as int64 [60]"),
        (
            "test = {'test_inputs': {'ids': inputs['ids']}, 'test_labels': labels}",
            "test_inputs are not of the form that inputs are; give both one form",
        ),
    ],
)
def test_what_is_no_tree_of_rows_is_refused(write_code: WriteCode, change: str, line: str) -> None:
    _write(write_code, f"{_TREE}; {change}")
    with pytest.raises(InputError) as raised:
        load_source(CustomData(source="own_data:load"))
    assert str(raised.value).startswith("trial.data.source = 'own_data:load': ")
    assert line in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"augment": ["flip"]}, "trial.data.augment = ['flip']: inputs are a dict, not images; leave it out"),
        (
            {"noise": {"kind": "gaussian", "scale": 1, "by": "age"}},
            "trial.data.noise.by = 'age': inputs are a dict, not features; leave it out",
        ),
    ],
)
def test_what_has_no_meaning_for_a_tree_is_refused(
    write_code: WriteCode, fields: dict[str, Any], line: str
) -> None:
    make = "return regression_source(inputs, torch.randn(count), feature_names=('age',))"
    _write(write_code, f"{_TREE}; from l2rw_ray.data import regression_source; {make}")
    config = CustomData(source="own_data:load", options={"count": 300}, **fields)
    with pytest.raises(InputError) as raised:
        make_splits(load_source(config), config, seed=0)
    assert str(raised.value) == line


def test_an_option_that_the_loader_does_not_have_is_refused(write_code: WriteCode) -> None:
    _write(write_code)
    with pytest.raises(InputError, match=r"TypeError: load\(\) got an unexpected keyword argument 'blurr'"):
        load_source(CustomData(source="own_data:load", options={"blurr": 1}))
