"""A function's metric cannot have the name of something else in a trial's record."""

from typing import Any

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.config.functions.metrics import BUILT_IN, COSTS, RECORDED
from l2rw_ray.errors import ConfigError
from l2rw_ray.results.columns import COLUMNS, HISTORY
from l2rw_ray.results.schema import METRIC_COLUMNS


def _study(name: str) -> dict[str, Any]:
    return {
        "name": "names",
        "question": "Is the name free?",
        "trial": {"function": "own:main", "params": {"depth": 1}},
        "metrics": {name: {"mode": "min"}},
        "design": {"kind": "grid", "factors": {"depth": [1, 2]}},
    }


def test_the_names_are_those_of_all_columns_without_a_metric() -> None:
    columns = {column.name for column in COLUMNS} | {name for name, *_ in HISTORY}
    assert (columns - set(METRIC_COLUMNS) - set(COSTS)) | {"classes"} == RECORDED
    assert not RECORDED & (BUILT_IN.keys() | COSTS.keys())


@pytest.mark.parametrize("name", ["error", "steps", "epoch", "seed", "factor.lr"])
def test_a_metric_of_such_a_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"metrics\.{name} = .*final_{name}"):
        parse_study(_study(name))


@pytest.mark.parametrize("name", ["", " loss", "loss\n", "a\nb"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no name of a metric"):
        parse_study(_study(name))


@pytest.mark.parametrize("name", ["test_error", "loss", "duration_s", "validation_loss"])
def test_others_are_taken(name: str) -> None:
    assert name in parse_study(_study(name)).metrics
