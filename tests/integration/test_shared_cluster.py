"""Lanes of several kinds on one cluster, which may grow while they are at work."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from l2rw_ray.results import read_study

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster of one node that counts three cores."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


def _span(row: dict[str, Any]) -> tuple[datetime, datetime]:
    return row["started_at"], row["started_at"] + timedelta(seconds=row["duration_s"])


def test_trials_that_can_run_together_do_not_wait_for_each_other(
    cluster: Cluster, write_study: Callable[..., Path], run: Run, tmp_path: Path
) -> None:
    design = {"kind": "grid", "factors": {"resources.workers": [1, 2]}}
    out = tmp_path / "out"
    study = write_study(epochs=300, design=design, seeds=3)
    code, output = run(study, "--address", cluster.address, "--out", str(out))
    assert code == 0, output
    rows = read_study(out).to_pylist()
    assert [row["workers"] for row in rows] == [1, 1, 1, 2, 2, 2]
    alone, together = ([_span(row) for row in rows if row["workers"] == workers] for workers in (1, 2))
    assert any(
        start < other_end and other_start < end for start, end in alone for other_start, other_end in together
    )
