"""From a study file to ledger, mirror and report, in one go or cut short and completed elsewhere."""

import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.config.loading import dump_study
from l2rw_ray.results import read_history, read_study
from tests.conftest import STUDY
from tests.integration.harness import RESULT_COLUMNS, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

Run = Callable[..., tuple[int, str]]
RUNS = sorted(
    ["small"] + [method + seed for method in ("uniform", "l2rw") for seed in ("", " · seed 0", " · seed 1")]
)
"""Names of what MLflow shows of the small study."""


@pytest.fixture(scope="module")
def undisturbed(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the small study, run on a private cluster one trial at a time, and what that printed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    dump_study(parse_study(STUDY), folder / "study.yaml")
    code, output = run(folder / "study.yaml", "--out", str(folder / "out"), "--max-concurrent-trials", "1")
    assert code == 0, output
    return folder / "out", output


def names_of_runs(out: Path) -> list[str]:
    rows = sqlite3.connect(out / "mlflow.db").execute("select name from runs")
    return sorted(name for (name,) in rows)


def test_a_study_is_recorded_mirrored_and_reported(undisturbed: tuple[Path, str]) -> None:
    out, output = undisturbed
    assert "4 completed" in output
    assert "Warning" not in output
    rows = read_study(out).to_pylist()
    assert [(row["method"], row["seed"]) for row in rows] == [
        *(("uniform", 0), ("uniform", 1), ("l2rw", 0), ("l2rw", 1))
    ]
    assert all(row["status"] == "completed" for row in rows)
    assert all(row["overhead_ratio"] > 0 for row in rows[2:])
    assert len(read_history(out)) == 8
    assert names_of_runs(out) == RUNS
    assert (out / "report" / "report.html").is_file()
    assert not list((out / "checkpoints").iterdir())


def test_only_what_is_missing_runs_after_a_kill_and_gives_the_same_ledger(
    undisturbed: tuple[Path, str],
    write_study: Callable[..., Path],
    start_run: Callable[..., subprocess.Popen[str]],
    run: Run,
    cluster: str,
    tmp_path: Path,
) -> None:
    """Each trial in a process of its own, first one at a time, then with another seed two at a time.

    Of trials on one worker; for two, and for whole histories, the tests of faults compare processes.
    """
    out = tmp_path / "out"
    arguments = ("--address", cluster, "--out", str(out), "--trials-per-worker-group", "1")
    process = start_run(write_study(seeds=1), *arguments, "--max-concurrent-trials", "1")
    wait_until(lambda: process.poll() is not None or list((out / "trials").glob("*.parquet")), "first record")
    process.kill()
    output, _ = process.communicate()
    assert process.returncode < 0, output
    (recorded,) = (out / "trials").glob("*.parquet")
    written_at = recorded.stat().st_mtime_ns

    code, output = run(write_study(seeds=2), *arguments, "--max-concurrent-trials", "2")
    assert code == 0, output
    assert "4 completed" in output
    assert recorded.stat().st_mtime_ns == written_at, "what is recorded is not run again"
    expected = read_study(undisturbed[0]).select(RESULT_COLUMNS).to_pylist()
    assert read_study(out).select(RESULT_COLUMNS).to_pylist() == expected
    assert names_of_runs(out) == RUNS


def test_study_that_does_not_fit_is_refused_with_the_numbers(
    write_study: Callable[..., Path], run: Run, cluster: str, tmp_path: Path
) -> None:
    study = write_study(resources={"workers": 1, "cpus_per_worker": 5000})
    code, output = run(study, "--address", cluster, "--out", str(tmp_path / "out"))
    assert code == 2
    assert "resources.cpus_per_worker = 5000: the largest node of the cluster has" in output
