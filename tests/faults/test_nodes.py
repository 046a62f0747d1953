"""Loss of a node of a cluster, with and without another in its place."""

from collections.abc import Iterator

import pytest
from ray.cluster_utils import Cluster

from tests.faults.conftest import Disturb, Undisturbed
from tests.faults.fault_table import Tries
from tests.faults.nodes import Node, add_worker_node, lose, two_nodes
from tests.integration.harness import wait_until

pytestmark = [
    pytest.mark.timeout(3000),
    pytest.mark.fault(
        "loss of a node", "all; its trials go on from their last checkpoints, on nodes that are left or join"
    ),
]


_LONG = 2500
"""Epochs of a trial that takes longer than the start of a worker group."""


@pytest.fixture
def cluster() -> Iterator[tuple[Cluster, list[Node]]]:
    with two_nodes() as cluster:
        yield cluster


@pytest.fixture(params=[False, True], ids=["own addresses", "one address"])
def addressed(request: pytest.FixtureRequest) -> Iterator[tuple[Cluster, list[Node]]]:
    with two_nodes(one_address=request.param) as cluster:
        yield cluster


def test_lost_node_leaves_its_trials_to_the_other(
    addressed: tuple[Cluster, list[Node]], disturb: Disturb, tries: Tries
) -> None:
    """Trials are long enough to be worth a worker group on each node."""
    head, nodes = addressed
    calm, study = (disturb("--address", head.address, epochs=_LONG, seeds=2) for _ in range(2))
    calm.complete()
    process = study.start()
    wait_until(
        lambda: len(study.wait_for_training()) == len(study.resumable()) == 2, "trial on each node", 600
    )
    lose(head, nodes[0])
    tries.add()
    output = study.end(process, 0)
    assert "lost: 1 trial goes on elsewhere" in output
    study.must_equal(calm.out)


def test_trial_across_two_nodes_goes_on_with_one_that_joins(
    cluster: tuple[Cluster, list[Node]], undisturbed: Undisturbed, disturb: Disturb, tries: Tries
) -> None:
    (head, nodes), expected = cluster, undisturbed(2)
    study = disturb("--address", head.address, resources={"workers": 2}, seeds=2)
    process = study.start()
    wait_until(lambda: len(study.wait_for_training()) == 2, "group across both nodes", 600)
    lose(head, nodes[0])
    tries.add()
    add_worker_node(head)
    study.end(process, 0)
    study.must_equal(expected)
