"""A ledger on an object store is compacted while another machine reads it."""

import pytest

from l2rw_ray.events import TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.results import compaction
from l2rw_ray.results.compaction import compact_ledger
from l2rw_ray.results.opening import open_study_folder, read_study_folder
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.remote.store import StudyStore
from l2rw_ray.results.remote.store_files import StoreFiles
from l2rw_ray.results.writer import LedgerWriter
from tests.object_store import BUCKET, object_store


class KilledError(BaseException):
    """Ends a compaction as SIGKILL would: nothing catches it."""


@pytest.fixture(scope="module")
def store():
    with object_store() as store:
        yield store


@pytest.fixture
def on(tmp_path, monkeypatch):
    """Makes this process one of several machines."""

    def be(name: str) -> None:
        monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / name))

    return be


@pytest.fixture
def address(store, tmp_path, on, spec, planned, monkeypatch):
    """A study whose four trials one machine has run."""
    monkeypatch.setattr(compaction, "MIN_FILES", 2)
    on("first")
    named = f"s3://{BUCKET}/{tmp_path.name}/small"
    with open_study_folder(named) as folder:
        folder.create()
        with folder.lock():
            folder.write_plan(spec, planned)
            for trial in planned:
                write(folder, trial)
    return named


def write(folder, trial, status=TrialStatus.COMPLETED) -> None:
    ledger = LedgerWriter(folder, {trial.trial_id: trial}, {}, None)
    ledger(TrialStarted(trial.trial_id, 1, 1, "cpu", "a core", 60, 2, {}, {}))
    ledger(TrialEnded(trial.trial_id, status, 1, 3, 7.0, {"test_balanced_accuracy": 0.5}))


def compact(address: str) -> int:
    with open_study_folder(address) as folder, folder.lock():
        return compact_ledger(folder)


def files(folder) -> list[str]:
    return sorted(path.name for path in folder.trials.glob("*.parquet"))


def statuses(address: str) -> list[str]:
    with read_study_folder(address) as folder:
        return [found.status for found in trial_results(folder.path).values()]


def test_another_machine_sees_what_was_compacted_and_what_was_run_again(address, on, planned):
    on("second")
    assert len(statuses(address)) == 4
    on("first")
    assert compact(address) == 4
    for machine in ("first", "second", "third"):
        on(machine)
        assert statuses(address) == ["completed"] * 4
        with read_study_folder(address) as folder:
            assert files(folder) == ["compacted-00000001.parquet"]
    with open_study_folder(address) as folder, folder.lock():
        for trial in planned[:2]:
            write(folder, trial, TrialStatus.FAILED)
    on("first")
    assert sorted(statuses(address)) == [*["completed"] * 2, *["failed"] * 2]
    compact(address)
    on("fourth")
    assert sorted(statuses(address)) == [*["completed"] * 2, *["failed"] * 2]


@pytest.mark.parametrize("requests", range(6))
def test_wherever_it_is_killed_every_machine_reads_every_row(address, on, monkeypatch, requests):
    left = [requests]
    monkeypatch.setattr("l2rw_ray.results.remote.store._AT_A_TIME", 1)

    def counted(call):
        def instead(self, name, *content):
            if self.folder == "":
                if not left[0]:
                    raise KilledError
                left[0] -= 1
            return call(self, name, *content)

        return instead

    with monkeypatch.context() as patch:
        patch.setattr(StoreFiles, "write", counted(StoreFiles.write))
        patch.setattr(StoreFiles, "remove", counted(StoreFiles.remove))
        try:
            compact(address)
        except KilledError:
            assert requests < 5, "a file is written, and four are removed"
        else:
            assert requests == 5
    for machine in ("first", "second"):
        on(machine)
        assert statuses(address) == ["completed"] * 4
    compact(address)
    on("third")
    assert statuses(address) == ["completed"] * 4


def test_a_machine_that_fetches_meanwhile_misses_nothing(address, on, monkeypatch):
    ledger, overtaken = StudyStore._ledger, []

    def before_compaction(self):
        listed = ledger(self)
        if not overtaken:
            overtaken.append(None)
            on("first")
            compact(address)
            on("second")
        return listed

    on("second")
    monkeypatch.setattr(StudyStore, "_ledger", before_compaction)
    assert statuses(address) == ["completed"] * 4
