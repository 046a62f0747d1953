"""Whole worker groups fit into whole slots of nodes."""

import pytest

from l2rw_ray.config import Resources
from l2rw_ray.errors import ConfigError
from l2rw_ray.planning.placement import allocate, group_count, sequential_rounds


@pytest.mark.parametrize(
    ("resources", "nodes", "groups"),
    [
        ({"workers": 2}, [{"CPU": 4.0}], 2),
        ({"workers": 2}, [{"CPU": 1.0}, {"CPU": 3.0}], 2),
        ({"cpus_per_worker": 2}, [{"CPU": 3.0}, {"CPU": 3.0}], 2),
        ({"gpus_per_worker": 0.5}, [{"CPU": 8.0, "GPU": 1.0}], 2),
        ({}, [{"CPU": 64.0}], 5),
    ],
)
def test_groups_fit(resources: dict, nodes: list[dict], groups: int) -> None:
    assert group_count(Resources(**resources), nodes, trials=5, limit=None) == groups


def test_no_more_groups_than_asked_for() -> None:
    assert group_count(Resources(), [{"CPU": 64.0}], trials=5, limit=3) == 3


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
        group_count(Resources(**resources), [{"CPU": 3.0}, {"CPU": 3.0}], trials=5, limit=None)
    assert str(raised.value).startswith(line)


def test_pair_that_no_node_has_is_named() -> None:
    nodes = [{"CPU": 8.0}, {"CPU": 4.0, "GPU": 1.0}]
    with pytest.raises(ConfigError, match="no node of the cluster has 8 CPUs and 1 GPUs"):
        group_count(Resources(cpus_per_worker=8, gpus_per_worker=1), nodes, trials=5, limit=None)


ONE, TWO, GPU = Resources(), Resources(workers=2), Resources(gpus_per_worker=1)
HALF = Resources(gpus_per_worker=0.5)


@pytest.mark.parametrize(
    ("left", "running", "nodes", "started"),
    [
        ({ONE: 9, TWO: 9}, {}, [{"CPU": 2.0}], {ONE: 0, TWO: 1}),
        ({ONE: 9, TWO: 0}, {}, [{"CPU": 2.0}], {ONE: 2, TWO: 0}),
        ({ONE: 9, TWO: 9}, {}, [{"CPU": 4.0}], {ONE: 2, TWO: 1}),
        ({ONE: 1, TWO: 9}, {}, [{"CPU": 5.0}], {ONE: 1, TWO: 2}),
        ({ONE: 9, GPU: 9}, {}, [{"CPU": 4.0, "GPU": 1.0}], {ONE: 3, GPU: 1}),
        ({HALF: 9, GPU: 9}, {}, [{"CPU": 8.0, "GPU": 2.0}], {HALF: 2, GPU: 1}),
        ({ONE: None, TWO: None}, {}, [{"CPU": 3.0}, {"CPU": 4.0}], {ONE: 3, TWO: 2}),
        ({ONE: 9, TWO: 0}, {ONE: 1, TWO: 1}, [{"CPU": 4.0}], {ONE: 1, TWO: 0}),
        ({ONE: 1}, {ONE: 1}, [{"CPU": 4.0}], {ONE: 0}),
        ({ONE: 9}, {ONE: 2}, [{"CPU": 2.0}], {ONE: 0}),
        ({ONE: 9}, {ONE: 2}, [{"CPU": 2.0}, {"CPU": 1.0}], {ONE: 1}),
        ({ONE: 9}, {ONE: 2}, [{"CPU": 1.0}], {ONE: 0}),
    ],
)
def test_kinds_share_a_cluster(left: dict, running: dict, nodes: list[dict], started: dict) -> None:
    assert allocate(left, running, nodes) == started


def test_groups_that_there_are_count_towards_the_limit() -> None:
    assert allocate({ONE: 9, TWO: 9}, {ONE: 1}, [{"CPU": 64.0}], limit=4) == {ONE: 1, TWO: 2}


@pytest.mark.parametrize(
    ("trials", "cores", "expected"),
    [({ONE: 5}, 2.0, 3), ({ONE: 4, TWO: 3}, 2.0, 5), ({ONE: 4, TWO: 3}, 3.0, 4), ({}, 2.0, 0)],
)
def test_rounds_of_kinds_that_run_side_by_side(trials: dict, cores: float, expected: int) -> None:
    assert sequential_rounds(trials, [{"CPU": cores}]) == expected
