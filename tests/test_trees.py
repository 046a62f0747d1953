"""Trees of tensors keep their structure, whatever containers they are made of."""

from collections import UserDict, namedtuple
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from l2rw_ray.trees import map_tensors, named_leaves, shapes_of, tensors_of

Pair = namedtuple("Pair", ["left", "right"])  # what a user's code may have


@dataclass
class _Record:
    ids: Tensor
    padding: int = 0
    seen: int = field(default=0, init=False)


ROWS = torch.arange(6).reshape(3, 2)
TREES: list[tuple[Any, list[str], Any]] = [
    (ROWS, [""], (2,)),
    ({"ids": ROWS, 1: ROWS}, ["ids", "1"], {"ids": (2,), "1": (2,)}),
    (UserDict(ids=ROWS), ["ids"], {"ids": (2,)}),
    ((ROWS, [ROWS, ROWS[:, 0]]), ["0", "1.0", "1.1"], ((2,), ((2,), ()))),
    (Pair(ROWS, {"x": ROWS}), ["0", "1.x"], ((2,), {"x": (2,)})),
    (_Record(ROWS), ["ids", "padding", "seen"], {"ids": (2,), "padding": {}, "seen": {}}),
]


def test_keys_that_read_the_same_are_different_parts() -> None:
    assert len(list(tensors_of({1: ROWS, "1": ROWS[:2]}))) == 2


@pytest.mark.parametrize(("tree", "paths", "shapes"), TREES, ids=lambda part: type(part).__name__)
def test_a_tree_is_walked_and_mapped(tree: Any, paths: list[str], shapes: Any) -> None:
    assert [path for path, _ in named_leaves(tree)] == paths
    assert shapes_of(tree) == shapes
    taken = map_tensors(tree, lambda tensor: tensor[1:])
    assert type(taken) is type(tree)
    assert [path for path, _ in named_leaves(taken)] == paths
    pairs = list(zip(tensors_of(tree), tensors_of(taken), strict=True))
    assert pairs
    assert all(torch.equal(after, before[1:]) for before, after in pairs)


def test_constants_stay() -> None:
    tree = {"temperature": torch.tensor(2.0), "name": "a", "ids": ROWS, "none": None}
    taken = map_tensors(tree, lambda tensor: tensor[:0])
    assert {name: taken[name] for name in ("temperature", "name", "none")} == {
        name: tree[name] for name in ("temperature", "name", "none")
    }
    assert [len(tensor) for tensor in tensors_of(taken)] == [0]


def test_the_path_of_a_leaf_begins_with_that_of_its_tree() -> None:
    assert [path for path, _ in named_leaves({"mask": (ROWS,)}, "inputs")] == ["inputs.mask.0"]
