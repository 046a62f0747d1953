"""Trials of several kinds, some of which fail, on one cluster that is there already."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from l2rw_ray.results import read_study

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

Run = Callable[..., tuple[int, str]]


def _span(row: dict[str, Any]) -> tuple[datetime, datetime]:
    return row["started_at"], row["started_at"] + timedelta(seconds=row["duration_s"])


def test_failed_trial_is_a_row_and_the_others_finish_side_by_side(
    cluster: Cluster, write_study: Callable[..., Path], run: Run, tmp_path: Path
) -> None:
    design = {
        "kind": "grid",
        "factors": {"resources.workers": [2, 1], "optim.lr": [1e20, 0.01, 0.05]},
        "skip": [{"resources.workers": 1, "optim.lr": 1e20}],
    }
    out, study = tmp_path / "out", write_study(epochs=300, design=design, seeds=1)
    code, output = run(study, "--address", cluster.address, "--out", str(out))
    assert code == 1, output
    assert "1 failed" in output
    failed, *completed = read_study(out).to_pylist()
    assert failed["status"] == "failed"
    assert failed["error"].startswith("NonFiniteError: non-finite")
    assert "Traceback" in failed["traceback"]
    assert [(row["status"], row["workers"], row["attempt"]) for row in completed] == [
        *[("completed", 2, 1)] * 2,
        *[("completed", 1, 1)] * 2,
    ]
    together, alone = [_span(row) for row in completed[:2]], [_span(row) for row in completed[2:]]
    assert any(
        start < other_end and other_start < end for start, end in alone for other_start, other_end in together
    )
