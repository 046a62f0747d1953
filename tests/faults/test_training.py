"""Trials that go wrong by themselves."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Disturb, Undisturbed, write_study
from tests.faults.disturbed import DisturbedStudy, results
from tests.faults.fault_table import Tries

pytestmark = pytest.mark.timeout(3000)
_METRIC = "misbehaving:confidence"

Order = Callable[..., DisturbedStudy]


@pytest.mark.fault("a loss that becomes NaN", "all other trials; this one is a diverged row, not tried again")
def test_diverging_trial(undisturbed: Undisturbed, disturb: Disturb, tries: Tries) -> None:
    design = {"kind": "grid", "factors": {"method.name": ["l2rw"], "optim.lr": [1e20, 0.01]}}
    expected, study = undisturbed(), disturb("--max-concurrent-trials", "1", design=design, seeds=1)
    assert "1 diverged" in study.end(study.start(), 1)
    tries.add()
    study.end(study.start(), 1)
    study.must_keep_finished()
    study.must_have_ended()
    rows = results(study.out)
    (failed,) = [trial_id for trial_id, row in rows.items() if row["status"] == "diverged"]
    assert rows.pop(failed)["error"].startswith("NonFiniteError: non-finite")
    assert rows == {trial_id: results(expected)[trial_id] for trial_id in rows}
    assert len(rows) == 1


@pytest.fixture(scope="module")
def well_behaved(tmp_path_factory: pytest.TempPathFactory, orphans: None) -> Path:
    """The ledger of the study whose metric has no orders."""
    folder = tmp_path_factory.mktemp("well_behaved")
    shutil.copy(Path(__file__).with_name("misbehaving.py"), folder)
    run = DisturbedStudy(write_study(folder / "study.yaml", metrics=[_METRIC]), folder / "out")
    run.complete()
    run.must_have_ended()
    return run.out


@pytest.fixture
def order(disturb: Disturb, tmp_path: Path) -> Order:
    """A study on one worker group whose metric follows orders, each obeyed by the next process."""
    shutil.copy(Path(__file__).with_name("misbehaving.py"), tmp_path)
    (tmp_path / "orders").mkdir()

    def make(*orders: str, **sections: Any) -> DisturbedStudy:
        for number, name in enumerate(orders):
            (tmp_path / "orders" / f"{name}{number}.order").touch()
        environment = {"FAULTS_ORDERS": str(tmp_path / "orders")}
        return disturb("--max-concurrent-trials", "1", environment=environment, metrics=[_METRIC], **sections)

    return make


def _fails_alone(study: DisturbedStudy) -> dict[str, Any]:
    """Run it; the row of the one trial that failed."""
    assert "1 failed" in study.end(study.start(), 1)
    study.must_have_ended()
    (failed,) = [row for row in results(study.out).values() if row["status"] == "failed"]
    return failed


def _is_mended_by_retry(study: DisturbedStudy, expected: Path) -> None:
    study.arguments = (*study.arguments, "--retry-failed")
    study.complete()
    study.must_equal(expected)


@pytest.mark.fault(
    "a trial that hangs", "all other trials; this one is a failed row that tells where it hung"
)
def test_hanging_trial(well_behaved: Path, order: Order, tries: Tries) -> None:
    study = order("hang", limits={"duration_s": 60})
    tries.add()
    failed = _fails_alone(study)
    assert "limits.duration_s" in failed["error"]
    assert "_hang" in failed["traceback"]
    _is_mended_by_retry(study, well_behaved)


@pytest.mark.fault(
    "a trial that takes more memory than its limit", "all other trials; this one is a failed row"
)
def test_trial_over_its_memory(well_behaved: Path, order: Order, tries: Tries) -> None:
    study = order("allocate", limits={"memory_bytes": 2 * 2**30})
    tries.add()
    assert "limits.memory_bytes" in _fails_alone(study)["error"]
    _is_mended_by_retry(study, well_behaved)


@pytest.mark.fault(
    "the kernel ends a worker when memory runs out",
    "all; after five times in a row its trial is a failed row",
)
def test_trial_that_is_killed_each_time(well_behaved: Path, order: Order, tries: Tries) -> None:
    study = order(*["die"] * 5)
    tries.add(5)
    failed = _fails_alone(study)
    assert "5 attempts without progress" in failed["error"]
    _is_mended_by_retry(study, well_behaved)
