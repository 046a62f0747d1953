"""Loss of a node of a cluster, with and without another in its place."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from l2rw_ray.results import read_history, read_study
from tests.faults.conftest import Disturb, Undisturbed
from tests.faults.disturbed import DisturbedStudy
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
FUNCTION = """
from pathlib import Path
from time import sleep

def main(trial, step: float, go_on: str):
    saved = trial.restore()
    first, total = (saved.epoch, saved["total"]) if saved else (0, 0.0)
    for epoch in range(first, 5):
        while epoch == 3 and not Path(go_on).exists():
            sleep(0.05)
        total += step
        trial.report({"validation_loss": 1 / total}, epoch=epoch, checkpoint={"total": total})
    trial.finish({"test_loss": 1 / total, "first_epoch": first})
"""


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


def test_a_function_goes_on_from_its_checkpoint_on_the_other_node(
    cluster: tuple[Cluster, list[Node]], orphans: None, tries: Tries, tmp_path: Path
) -> None:
    head, nodes = cluster
    (tmp_path / "adding.py").write_text(FUNCTION)
    file, go_on = tmp_path / "study.json", tmp_path / "go-on"
    asked = {
        "name": "adding",
        "question": "Does it go on?",
        "trial": {"function": "adding:main", "params": {"step": 0.5, "go_on": str(go_on)}},
        "metrics": {"test_loss": {"mode": "min"}, "validation_loss": {"mode": "min"}},
        "design": {"kind": "grid", "factors": {"step": [0.5]}},
        "seeds": 1,
        "checkpoints": {"every_s": 0},
    }
    file.write_text(json.dumps(asked))
    study = DisturbedStudy(file, tmp_path / "out", ("--address", head.address))
    try:
        process = study.start()
        (worker,) = study.wait_for_training()
        above = {parent.pid for parent in worker.parents()}
        (node,) = [each for each in nodes if each.all_processes["raylet"][0].process.pid in above]
        lose(head, node)
        tries.add()
        go_on.touch()
        output = study.end(process, 0)
    finally:
        study.abandon()
    assert "lost: 1 trial goes on elsewhere" in output
    (row,) = read_study(study.out).to_pylist()
    metrics = dict(row["metrics"])
    assert (row["status"], row["attempt"], metrics["test_loss"]) == ("completed", 2, 0.4)
    assert metrics["first_epoch"] > 0, "it went on from its checkpoint"
    assert read_history(study.out)["epoch"].to_pylist() == [1, 2, 3, 4, 5]
