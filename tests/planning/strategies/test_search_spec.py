"""Keys of searches: what continues an earlier search, and what is another one."""

from typing import Any

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.planning.strategies.search_spec import search_specs

LR: dict[str, Any] = {"kind": "float", "low": 0.01, "high": 1, "log": True}
SPACE = {
    "optim.lr": LR,
    "optim.batch_size": {"kind": "int", "low": 5, "high": 20},
    "method.name": {"kind": "categorical", "choices": ["uniform", "l2rw"]},
}


@pytest.fixture
def key(study_tree: dict):
    def key_of(lr: dict[str, Any] = LR, **fields: Any) -> str:
        design = {"kind": "search", "budget": {"trials": 3}, "space": SPACE | {"optim.lr": lr}}
        (search,) = search_specs(parse_study(study_tree | {"design": design, **fields}))
        return search.key

    return key_of


def test_searches_of_earlier_versions_keep_their_key(key) -> None:
    assert key() == "ae026b475b18ac68", "version 0.2.0 gave it this one"


def test_another_space_or_objective_is_another_search(key) -> None:
    grid = {"kind": "float", "low": 0.25, "high": 1}
    stepped = grid | {"step": 0.25}
    others = [key(grid), key(stepped), key(objective={"metric": "validation_loss"})]
    assert len({key(), *others}) == 4
