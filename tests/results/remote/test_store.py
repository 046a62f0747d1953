"""Study folders on an S3 of our own, as two machines with caches of their own see them."""

import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from pyarrow.fs import FileSelector

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.events import TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.results.opening import open_study_folder, read_study_folder
from l2rw_ray.results.reader import read_study, trial_results
from l2rw_ray.results.remote.location import Location, parse_location
from l2rw_ray.results.remote.store_files import StoreFiles
from l2rw_ray.results.repair import repair_folder
from l2rw_ray.results.status import count_statuses
from l2rw_ray.results.study_progress import read_progress
from l2rw_ray.results.writer import LedgerWriter
from tests.object_store import BUCKET, object_store


@pytest.fixture(scope="module")
def store():
    with object_store() as store:
        yield store


@pytest.fixture
def address(store, tmp_path):
    return f"s3://{BUCKET}/{tmp_path.name}/small"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Makes this process one of several machines."""

    def be(name: str) -> None:
        monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / name))

    be("first")
    return be


@pytest.fixture
def end(planned):
    """Records a trial of the study as completed."""

    def write(folder, number: int, status=TrialStatus.COMPLETED) -> None:
        trial = planned[number]
        ledger = LedgerWriter(folder, {trial.trial_id: trial}, {}, None)
        ledger(TrialStarted(trial.trial_id, 1, 1, "cpu", "a core", 60, 2, {}, {}))
        ledger(TrialEnded(trial.trial_id, status, 1, 3, 7.0, {"test_balanced_accuracy": 0.5}))

    return write


def names_in(store, address: str) -> set[str]:
    root = address.removeprefix("s3://")
    found = store.filesystem.get_file_info(FileSelector(root, recursive=True))
    return {file.path.removeprefix(f"{root}/") for file in found if file.is_file}


def test_what_one_machine_finished_another_has(store, address, machine, spec, planned, end):
    with open_study_folder(address) as folder:
        folder.create()
        with folder.lock():
            folder.write_plan(spec, planned)
            end(folder, 0)
            ids = [trial.trial_id for trial in planned]
            assert names_in(store, address) >= {"study.yaml", "plan.json", f"trials/{ids[0]}.parquet"}
    machine("second")
    with open_study_folder(address) as folder:
        folder.create()
        with folder.lock():
            assert trial_results(folder.path).keys() == {ids[0]}
            end(folder, 1)
    machine("first")
    with read_study_folder(address) as folder:
        assert folder.read_spec() == spec
        assert len(read_study(folder.path)) == 2
        assert read_progress(folder).counts["completed"] == 2


def test_files_are_fetched_once_and_dropped_with_the_store(store, address, machine, spec, planned, end):
    with open_study_folder(address) as folder:
        folder.create()
        folder.write_plan(spec, planned)
        for number in range(4):
            end(folder, number)
    machine("second")
    with read_study_folder(address) as folder:
        before = {path: path.stat().st_ino for path in folder.trials.iterdir()}
        assert len(before) == 4
    folder.notes.write_text("my own words")
    gone = folder.trial_file(planned[0].trial_id)
    store.filesystem.delete_file(f"{address.removeprefix('s3://')}/trials/{gone.name}")
    with read_study_folder(address) as folder:
        after = {path: path.stat().st_ino for path in folder.trials.iterdir()}
    del before[gone]
    assert after == before, "those that are the same are not fetched again"
    assert count_statuses(folder.path)["missing"] == 1
    assert folder.notes.read_text() == "my own words"


def test_a_record_the_store_refuses_is_none(store, address, machine, spec, planned, end, monkeypatch):
    with open_study_folder(address) as folder:
        folder.create()
        folder.write_plan(spec, planned)

        def refuse(self, name, content):
            raise OSError("AWS Error ACCESS_DENIED during PutObject operation (Request ID: 1)\nmore")

        monkeypatch.setattr(StoreFiles, "write", refuse)
        with pytest.raises(StudyFolderError) as refused:
            end(folder, 0)
    assert f"study folder = '{address}': trials/" in str(refused.value).replace("…", "")
    assert "cannot be written (AWS Error ACCESS_DENIED during PutObject operation)" in str(refused.value)
    assert not list(folder.trials.iterdir())


def test_a_run_keeps_others_out_here_and_elsewhere(store, address, machine):
    with open_study_folder(address) as folder, open_study_folder(address) as same:
        folder.create()
        with folder.lock():
            with pytest.raises(StudyFolderError, match=r"'s3://.*/small': in use by another run"):
                same.lock().__enter__()
            machine("second")
            with open_study_folder(address) as other:
                other.create()
                with pytest.raises(StudyFolderError, match=r"in use by another run \(process \d+ on .*seen"):
                    other.lock().__enter__()
        with other.lock():
            pass


def test_a_run_that_was_taken_over_records_nothing_more(store, address, machine, end):
    with open_study_folder(address) as folder:
        folder.create()
        with folder.lock():
            folder.store._claim.is_lost = True
            with pytest.raises(StudyFolderError, match="another run has taken it over"):
                end(folder, 0)


def test_a_search_goes_on_elsewhere_from_a_copy_of_its_live_record(store, address, machine):
    with open_study_folder(address) as folder:
        folder.create()
        with folder.lock(), closing(sqlite3.connect(folder.searches)) as live:
            live.execute("create table told (figure)")
            live.execute("insert into told values (1)")
            live.commit()
            folder.keep_searches()
            live.execute("insert into told values (2)")
    machine("second")
    with open_study_folder(address) as folder:
        folder.create()
        journal = folder.path / f"{folder.searches.name}-journal"
        journal.write_text("of another file")
        with folder.lock(), closing(sqlite3.connect(folder.searches)) as copied:
            assert copied.execute("select figure from told").fetchall() == [(1,)]
            assert not journal.exists()


def test_what_a_trial_printed_is_kept(store, address, machine):
    with open_study_folder(address) as folder:
        folder.keep_logs("aaaa")
        (folder.path / "logs").mkdir()
        for name in ("aaaa.log", "aaaa.rank1.log", "bbbb.log"):
            (folder.path / "logs" / name).write_text(name)
        folder.keep_logs("aaaa")
    assert names_in(store, address) == {"logs/aaaa.log", "logs/aaaa.rank1.log"}


def test_a_report_replaces_the_one_before(store, address, machine):
    with open_study_folder(address) as folder:
        (folder.report / "figures").mkdir(parents=True)
        for name in ("report.html", "figures/old.svg"):
            (folder.report / name).write_text(name)
        folder.store.put_folder(folder.report)
        assert names_in(store, address) == {"report/report.html", "report/figures/old.svg"}
        shutil.move(folder.report / "figures/old.svg", folder.report / "figures/new.svg")
        folder.store.put_folder(folder.report)
        assert names_in(store, address) == {"report/report.html", "report/figures/new.svg"}


def test_errors_name_the_address_not_the_working_folder(store, address, machine, spec, planned):
    with pytest.raises(StudyFolderError, match=r"'s3://.*/small': it has no study\.yaml"):  # noqa: SIM117
        with read_study_folder(address) as folder:
            folder.read_plan()
    with open_study_folder(address) as folder:
        folder.create()
        folder.write_plan(spec, planned)
    with store.filesystem.open_output_stream(f"{address.removeprefix('s3://')}/plan.json") as stream:
        stream.write(b"garbage")
    with pytest.raises(StudyFolderError, match=r"'s3://.*/small': its plan\.json is unreadable"):  # noqa: SIM117
        with read_study_folder(address) as folder:
            read_study(folder.path)


def test_a_missing_bucket_is_one_line(store, machine):
    with (
        pytest.raises(StudyFolderError, match="there is no bucket 'none'; create it"),
        open_study_folder("s3://none/a"),
    ):
        pass


def test_a_silent_store_is_one_line(machine, monkeypatch):
    class Silent:
        def get_file_info(self, path):
            raise OSError(f"When asking for {path!r}: AWS Error NETWORK_CONNECTION during HeadBucket.")

    monkeypatch.setattr(Location, "open", lambda self: (Silent(), "studies/a"))
    with pytest.raises(StudyFolderError) as refused, open_study_folder("s3://studies/a"):
        pass
    assert "'s3://studies/a': no access (When asking for 'studies': AWS Error NETW" in str(refused.value)
    assert "credentials for it" in str(refused.value)


def test_files_read_back_as_they_were_written_and_go_with_their_folder(store, address, machine):
    location = parse_location(address)
    files = StoreFiles(location, "checkpoints/aaaa")
    assert files.names() == []
    with pytest.raises(FileNotFoundError):
        files.read("000000003.pt")
    files.write("000000006.pt", b"two")
    files.write("000000003.pt", b"one")
    files.write("000000003.pt", bytes(3_000_000))
    StoreFiles(location, "checkpoints/aaaab").write("other.pt", b"")
    assert files.names() == ["000000003.pt", "000000006.pt"]
    assert files.read("000000003.pt") == bytes(3_000_000)
    files.remove("000000006.pt")
    files.remove("000000006.pt")
    with open_study_folder(address) as folder:
        folder.delete_checkpoints("aaaa")
    assert names_in(store, address) == {"checkpoints/aaaab/other.pt"}


def test_a_damaged_file_is_set_aside_on_the_store_too(store, address, machine, spec, planned, end):
    with open_study_folder(address) as folder:
        folder.create()
        folder.write_plan(spec, planned)
        end(folder, 0)
        end(folder, 1)
    name = f"trials/{planned[1].trial_id}.parquet"
    StoreFiles(parse_location(address)).write(name, b"damaged")
    machine("second")
    with open_study_folder(address) as folder, folder.lock():
        (line,) = repair_folder(folder)
        assert f"now {planned[1].trial_id}.parquet.damaged" in line
    StoreFiles(parse_location(address)).write(name, b"damaged again")
    machine("third")
    with open_study_folder(address) as folder, folder.lock():
        (line,) = repair_folder(folder)
        assert f"now {planned[1].trial_id}.parquet.damaged.2" in line
    assert f"{name}.damaged.2" in names_in(store, address)
    assert f"{name}.damaged" in names_in(store, address)
    assert name not in names_in(store, address)
    machine("fourth")
    with read_study_folder(address) as folder:
        assert count_statuses(folder.path)["completed"] == 1


def test_a_file_damaged_only_here_is_fetched_anew(store, address, machine, spec, planned, end):
    with open_study_folder(address) as folder:
        folder.create()
        folder.write_plan(spec, planned)
        end(folder, 0)
    with open_study_folder(address) as folder, folder.lock():
        path = folder.trial_file(planned[0].trial_id)
        known, content = path.stat(), bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
        os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))
        assert repair_folder(folder) == []
        assert count_statuses(folder.path)["completed"] == 1
    assert not [name for name in names_in(store, address) if "damaged" in name]


def test_checkpoints_of_recorded_trials_leave_the_store(store, address, machine, spec, planned, end):
    with open_study_folder(address) as folder:
        folder.create()
        folder.write_plan(spec, planned)
        end(folder, 0)
    recorded, under_way = (f"checkpoints/{trial.trial_id}/3-abc.pt" for trial in planned[:2])
    for name in (recorded, under_way):
        StoreFiles(parse_location(address)).write(name, b"state")
    machine("second")
    with open_study_folder(address) as folder, folder.lock():
        assert repair_folder(folder) == []
    names = names_in(store, address)
    assert recorded not in names
    assert under_way in names
