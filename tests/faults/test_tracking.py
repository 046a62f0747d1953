"""An MLflow server that goes down while a study runs, and comes back."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from l2rw_ray.results import StudyFolder
from l2rw_ray.tracking.mirror import mirror_folder
from tests.faults.conftest import Disturb, Undisturbed
from tests.faults.fault_table import Tries
from tests.tracking.real_server import RealServer, free_port

pytestmark = pytest.mark.timeout(3000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    (tmp_path / "server").mkdir()
    server = RealServer(tmp_path / "server", free_port())
    server.start()
    yield server
    server.stop()


@pytest.mark.fault(
    "the MLflow server is stopped and started again",
    "all; the ledger has everything, `l2rw-ray track` completes the mirror without duplicates",
)
def test_server_that_goes_down_and_comes_back(
    server: RealServer, undisturbed: Undisturbed, disturb: Disturb, tries: Tries
) -> None:
    expected, study = undisturbed(), disturb("--max-concurrent-trials", "1", "--tracking-uri", server.uri)
    process = study.start()
    study.wait_for_training(records=1)
    server.stop()
    tries.add()
    study.wait_for_training(checkpoints=0, records=3)
    server.start()
    study.end(process, 0)
    mirror_folder(StudyFolder(study.out), server.uri)
    assert _runs(server) == dict.fromkeys(_planned(study.out), 1)
    server.stop()
    study.must_equal(expected)


def _planned(out: Path) -> list[str]:
    return [row.trial_id for row in StudyFolder(out).read_plan()]


def _runs(server: RealServer) -> Counter[str]:
    """How many runs the server has of each trial."""
    client = MlflowClient(tracking_uri=server.uri)
    (experiment,) = [found for found in client.search_experiments() if found.name == "small"]
    tags = [run.data.tags for run in client.search_runs([experiment.experiment_id])]
    return Counter(tag["l2rw.trial_id"] for tag in tags if "l2rw.trial_id" in tag)
