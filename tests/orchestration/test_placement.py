"""Whole worker groups fit into whole slots of nodes."""

import pytest

from l2rw_ray.config import Resources
from l2rw_ray.errors import ConfigError
from l2rw_ray.orchestration.placement import lane_count


@pytest.mark.parametrize(
    ("resources", "nodes", "lanes"),
    [
        ({"workers": 2}, [{"CPU": 4.0}], 2),
        ({"workers": 2}, [{"CPU": 1.0}, {"CPU": 3.0}], 2),
        ({"cpus_per_worker": 2}, [{"CPU": 3.0}, {"CPU": 3.0}], 2),
        ({"gpus_per_worker": 0.5}, [{"CPU": 8.0, "GPU": 1.0}], 2),
        ({}, [{"CPU": 64.0}], 5),
    ],
)
def test_lanes_fit(resources: dict, nodes: list[dict], lanes: int) -> None:
    assert lane_count(Resources(**resources), nodes, trials=5, limit=None) == lanes


def test_no_more_lanes_than_asked_for() -> None:
    assert lane_count(Resources(), [{"CPU": 64.0}], trials=5, limit=3) == 3


@pytest.mark.parametrize(
    ("resources", "line"),
    [
        ({"cpus_per_worker": 4}, "resources.cpus_per_worker = 4: the largest node of the cluster has 3 CPUs"),
        (
            {"gpus_per_worker": 1},
            "resources.gpus_per_worker = 1.0: the largest node of the cluster has 0 GPUs",
        ),
        (
            {"workers": 7},
            "resources.workers = 7: the cluster has room for 6 workers of this size; use at most 6",
        ),
    ],
)
def test_what_does_not_fit_is_named(resources: dict, line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        lane_count(Resources(**resources), [{"CPU": 3.0}, {"CPU": 3.0}], trials=5, limit=None)
    assert str(raised.value).startswith(line)
