"""From a study file to ledger, mirror and report."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from l2rw_ray.results import read_history, read_study
from tests.integration.harness import RESULT_COLUMNS

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

Run = Callable[..., tuple[int, str]]


def test_study_runs_once_and_only_what_is_missing_runs_again(
    write_study: Callable[..., Path], run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    two_workers = {"workers": 2}
    code, output = run(write_study(seeds=1, resources=two_workers), "--out", str(out))
    assert code == 0, output
    assert "2 completed" in output
    assert "Warning" not in output
    first = read_study(out).to_pylist()
    assert [row["method"] for row in first] == ["uniform", "l2rw"]
    assert all(row["status"] == "completed" and row["workers"] == 2 for row in first)
    assert first[1]["overhead_ratio"] > 0
    assert len(read_history(out)) == 4
    assert (out / "report" / "report.html").is_file()
    assert not list((out / "checkpoints").iterdir())

    code, output = run(write_study(seeds=2, resources=two_workers), "--out", str(out))
    assert code == 0, output
    second = read_study(out).to_pylist()
    assert [row["seed"] for row in second] == [0, 1, 0, 1]
    started = {row["trial_id"]: row["started_at"] for row in second}
    assert all(started[row["trial_id"]] == row["started_at"] for row in first), "the old are not run again"
    names = [name for (name,) in sqlite3.connect(out / "mlflow.db").execute("select name from runs")]
    assert sorted(names) == [
        *("l2rw · all seeds", "l2rw · seed 0", "l2rw · seed 1", "small"),
        *("uniform · all seeds", "uniform · seed 0", "uniform · seed 1"),
    ]


def test_another_process_and_other_groups_give_the_same_ledger(
    write_study: Callable[..., Path], run: Run, cluster: Cluster, tmp_path: Path
) -> None:
    """Of trials on one worker, in worker groups whose processes stay or are replaced after each trial.

    For two workers, and for whole histories, the tests of faults compare processes.
    """
    study, there = write_study(seeds=2), ("--address", cluster.address)
    tables = []
    for groups, replaced_after in (("1", "500"), ("2", "1")):
        out = tmp_path / f"groups{groups}"
        code, output = run(
            study,
            *there,
            "--out",
            str(out),
            "--max-concurrent-trials",
            groups,
            "--trials-per-worker-group",
            replaced_after,
        )
        assert code == 0, output
        tables.append(read_study(out).select(RESULT_COLUMNS).to_pylist())
    assert len(tables[0]) == 4
    assert tables[0] == tables[1]


def test_study_that_does_not_fit_is_refused_with_the_numbers(
    write_study: Callable[..., Path], run: Run, cluster: Cluster, tmp_path: Path
) -> None:
    study = write_study(resources={"workers": 1, "cpus_per_worker": 5000})
    code, output = run(study, "--address", cluster.address, "--out", str(tmp_path / "out"))
    assert code == 2
    assert "resources.cpus_per_worker = 5000: the largest node of the cluster has" in output
