"""What a cluster that grows may still bring up."""

import pytest

from l2rw_ray.config import Resources
from l2rw_ray.errors import InputError
from l2rw_ray.orchestration.cluster.autoscaling import (
    GROWTH_VARIABLE,
    NodeGroup,
    growth_groups,
    nodes_to_come,
)
from l2rw_ray.planning.placement import group_count

GROUPS = (NodeGroup(nodes=3, CPU=8), NodeGroup(nodes=2, CPU=4, GPU=1))
HEAD = {"memory": 1.0}


def test_nodes_that_are_there_do_not_come_again() -> None:
    alive = [HEAD, {"CPU": 8.0, "memory": 2.0}, {"CPU": 4.0, "GPU": 1.0}, {"CPU": 4.0, "GPU": 1.0}]
    assert nodes_to_come(GROUPS, alive) == [{"CPU": 8, "GPU": 0}] * 2


def test_more_nodes_than_said_take_nothing_away() -> None:
    assert nodes_to_come((NodeGroup(nodes=1, CPU=8),), [{"CPU": 8.0}] * 3) == []


def test_node_is_of_one_group_though_two_look_the_same() -> None:
    alike = (NodeGroup(nodes=2, CPU=8), NodeGroup(nodes=4, CPU=8))
    assert len(nodes_to_come(alike, [HEAD, *[{"CPU": 8.0}] * 3])) == 3


def test_head_takes_no_place_of_a_worker_like_it() -> None:
    head = {"CPU": 8.0, "node:__internal_head__": 1.0}
    assert len(nodes_to_come((NodeGroup(nodes=2, CPU=8),), [head, {"CPU": 8.0}])) == 1


def test_groups_are_counted_on_a_cluster_whose_head_is_alone() -> None:
    nodes = [HEAD, *nodes_to_come(GROUPS, [HEAD])]
    assert group_count(Resources(gpus_per_worker=1), nodes, trials=10, limit=None) == 2
    assert group_count(Resources(workers=2, cpus_per_worker=4), nodes, trials=10, limit=None) == 4


def test_cluster_that_says_nothing_grows_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(GROWTH_VARIABLE, raising=False)
    assert growth_groups() == ()


@pytest.mark.parametrize("text", ["4", "[4]", '[{"nodes": -1, "CPU": 1}]', '[{"nodes": 1, "cpu": 1}]', "{"])
def test_growth_that_cannot_be_read_is_one_line(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(GROWTH_VARIABLE, text)
    with pytest.raises(InputError, match=f"{GROWTH_VARIABLE} = .*write it as"):
        growth_groups()
