from dataclasses import replace

import pytest
import torch

from l2rw_ray.data import ExampleSet
from l2rw_ray.data.examples import feature_scale


def examples_of(inputs: torch.Tensor, **more) -> ExampleSet:
    rows = torch.arange(len(inputs))
    return ExampleSet(inputs, rows % 3, torch.zeros(len(inputs), dtype=torch.bool), rows, **more)


def test_images_are_scaled_to_minus_one_to_one() -> None:
    inputs = torch.arange(256, dtype=torch.uint8).reshape(-1, 1, 2, 2)
    examples = examples_of(inputs)
    x, y = examples.take(torch.tensor([0, 63]))
    assert x.dtype == torch.float32
    torch.testing.assert_close(x, (inputs[[0, 63]] / 255 - 0.5) / 0.5)
    assert x.min() == -1
    assert x.max() == 1
    assert y.tolist() == [0, 0]
    assert examples.input_shape == (1, 2, 2)
    assert len(examples) == 64


def test_taking_leaves_the_set_as_it_was() -> None:
    inputs = torch.arange(12.0).reshape(6, 2)
    mean, std = feature_scale(inputs)
    examples = examples_of(inputs.clone(), mean=mean, std=std)
    x, _ = examples.take(torch.arange(6))
    assert torch.equal(examples.inputs, inputs)
    torch.testing.assert_close(x.mean(0), torch.zeros(2))
    torch.testing.assert_close(x.std(0, correction=0), torch.ones(2))


def test_a_constant_feature_stays_zero_and_a_large_one_keeps_its_digits() -> None:
    wide = torch.tensor([1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3])
    features = torch.stack([torch.full((4,), 0.1), wide], dim=1)
    mean, std = feature_scale(features)
    assert mean.dtype == std.dtype == torch.float32
    x, _ = examples_of(features, mean=mean, std=std).take(torch.arange(4))
    torch.testing.assert_close(x[:, 0], torch.zeros(4))
    torch.testing.assert_close(std, torch.tensor([1.0, 1.25**0.5]))


def test_sets_share_a_store_until_they_move() -> None:
    store = torch.arange(10, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    places = torch.tensor([7, 2, 5])
    flags = torch.tensor([False, True, False])
    examples = ExampleSet(store, torch.tensor([1, 0, 1]), flags, places, places=places)
    x, y = examples.take(torch.tensor([2, 0]))
    torch.testing.assert_close(x.flatten(), torch.tensor([5.0, 7.0]) / 127.5 - 1)
    assert y.tolist() == [1, 1]
    assert examples.to(torch.device("cpu")) is examples
    moved = examples.to(torch.device("meta"))
    assert moved.inputs.shape == (3, 1, 1, 1)
    assert {value.device.type for value in vars(moved).values() if value is not None} == {"meta"}


def test_a_tree_is_taken_as_it_is() -> None:
    ids = torch.arange(12).reshape(6, 2)
    store = {"ids": ids, "parts": (ids.half(), ids[:, 0].to(torch.uint8))}
    places = torch.tensor([4, 1])
    examples = ExampleSet(store, torch.tensor([1, 0]), torch.zeros(2).bool(), places, places=places)
    x, y = examples.take(torch.tensor([1, 0]))
    assert torch.equal(x["ids"], ids[[1, 4]])
    assert [(part.dtype, part.tolist()) for part in x["parts"]] == [
        (torch.float16, [[2.0, 3.0], [8.0, 9.0]]),
        (torch.uint8, [2, 8]),
    ]
    assert y.tolist() == [0, 1]
    assert examples.input_shape == {"ids": (2,), "parts": ((2,), ())}
    assert examples.scales == {}
    x["ids"].zero_()
    assert ids.any(), "a batch is a copy"
    moved = examples.to(torch.device("meta"))
    assert (moved.inputs["ids"].device.type, moved.inputs["ids"].shape) == ("meta", (2, 2))
    assert (moved.inputs["parts"][1].device.type, moved.inputs["parts"][1].shape) == ("meta", (2,))


def test_an_empty_set_gives_empty_batches() -> None:
    empty = torch.empty(0, dtype=torch.int64)
    store = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    x, y = ExampleSet(store, empty, empty.bool(), empty, places=empty).take(empty)
    assert x.shape == (0, 1, 2, 2)
    assert y.shape == (0,)
    x, _ = ExampleSet({"image": store}, empty, empty.bool(), empty, places=empty).take(empty)
    assert x["image"].shape == (0, 1, 2, 2)


def test_a_position_outside_is_an_error() -> None:
    with pytest.raises((IndexError, RuntimeError)):
        examples_of(torch.zeros(3, 1, 1, 1, dtype=torch.uint8)).take(torch.tensor([3]))


def test_what_nobody_verified_is_neither_clean_nor_corrupted() -> None:
    examples = examples_of(torch.zeros(4, 1))
    assert examples.clean.all()
    assert examples.corrupted_fraction == 0.0
    corrupted, unverified = (
        torch.tensor([True, False, False, False]),
        torch.tensor([False, False, True, True]),
    )
    examples = replace(examples, corrupted=corrupted, unverified=unverified)
    assert examples.clean.tolist() == [False, True, False, False]
    assert examples.corrupted_fraction == 0.5
    nothing = replace(examples, corrupted=torch.zeros_like(corrupted), unverified=torch.ones_like(unverified))
    assert nothing.corrupted_fraction is None


def test_examples_are_named_by_their_row() -> None:
    examples = replace(examples_of(torch.zeros(3, 1)), rows=torch.tensor([2, 0, 1]))
    assert examples.identities(torch.tensor([0, 2])) == ["2", "1"]
    assert replace(examples, ids=["a", "b", "c"]).identities(torch.tensor([0, 2])) == ["c", "b"]
