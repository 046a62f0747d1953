"""Merging files of the ledger loses no row, wherever it is killed and whoever reads meanwhile."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.events import TrialEnded, TrialStatus
from l2rw_ray.results import (
    compaction,
    read_confusion,
    read_history,
    read_step_series,
    read_study,
    trial_files,
)
from l2rw_ray.results.compaction import compact_ledger
from l2rw_ray.results.publishing import pack_study
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.repair import repair_folder
from l2rw_ray.results.schema import SCHEMA
from l2rw_ray.results.status import missing_trials
from l2rw_ray.results.study_progress import read_progress
from tests.results.damages import DAMAGES, end

FIRST = "compacted-00000001.parquet"
READERS = (read_study, read_history, read_step_series, read_confusion)


class KilledError(BaseException):
    """Ends a compaction as SIGKILL would: nothing catches it."""


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Two files are enough."""
    monkeypatch.setattr(compaction, "MIN_FILES", 2)
    monkeypatch.setattr("l2rw_ray.results.writer.MIN_FILES", 1000)


@contextmanager
def killed_at(step: int) -> Iterator[list[str]]:
    """Raise KilledError instead of the step-th write, rename or removal; yield what was done before."""
    done: list[str] = []

    def counted(name: str, call: Callable) -> Callable:
        def instead(*args, **options):
            if len(done) == step:
                raise KilledError
            done.append(name)
            return call(*args, **options)

        return instead

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", counted("remove", Path.unlink))
        patch.setattr(Path, "replace", counted("rename", Path.replace))
        patch.setattr(compaction.pq, "write_table", counted("write", pq.write_table))
        yield done


def killed_everywhere(compact: Callable[[], object], check: Callable[[], None]) -> int:
    """Kill a compaction at its first step, the next one at its second, until one ends; check after each."""
    step = 0
    while True:
        with killed_at(step) as done:
            try:
                compact()
            except KilledError:
                check()
            else:
                check()
                return len(done)
        step += 1


def names(folder) -> list[str]:
    return [path.name for path in trial_files.trial_files(folder)]


def fail(writer, trial_id: str) -> None:
    writer(TrialEnded(trial_id, TrialStatus.FAILED, 1, 10, 1.5, {}, "ValueError: no"))


def test_a_compacted_ledger_reads_the_same(ledger, planned):
    before, progress = [read(ledger.path) for read in READERS], read_progress(ledger)
    results = trial_results(ledger.path)
    assert compact_ledger(ledger) == 4
    assert names(ledger) == [FIRST]
    assert [read(ledger.path) for read in READERS] == before
    assert trial_results(ledger.path) == results
    assert read_progress(ledger) == progress
    assert missing_trials(planned, results) == []
    assert repair_folder(ledger) == []
    assert compact_ledger(ledger) == 0


def test_few_files_are_left_alone(ledger, monkeypatch):
    monkeypatch.setattr(compaction, "MIN_FILES", 5)
    assert compact_ledger(ledger) == 0
    assert len(names(ledger)) == 4


def test_wherever_a_compaction_is_killed_every_row_is_read_once(ledger):
    before = [read(ledger.path) for read in READERS]

    def check() -> None:
        assert [read(ledger.path) for read in READERS] == before
        assert len(trial_results(ledger.path)) == 4

    assert killed_everywhere(lambda: compact_ledger(ledger), check) > 2
    assert len(names(ledger)) <= 2
    assert repair_folder(ledger) == []


def test_wherever_it_is_killed_a_trial_that_was_run_again_has_its_last_row(writer, folder, planned):
    one, two, *others = (trial.trial_id for trial in planned)
    fail(writer, one)
    fail(writer, two)
    compact_ledger(folder)
    assert missing_trials(planned, trial_results(folder.path), retry_failed=True) == planned
    for trial_id in (one, *others):
        end(writer, trial_id)
    expected = {one: "completed", two: "failed"} | dict.fromkeys(others, "completed")

    def check() -> None:
        assert {key: found.status for key, found in trial_results(folder.path).items()} == expected
        assert read_study(folder.path).num_rows == 4

    check()
    killed_everywhere(lambda: compact_ledger(folder), check)
    end(writer, two)
    expected[two] = "completed"
    check()


def test_the_own_file_of_a_trial_overrides_compacted_ones_and_those_a_published_one(ledger, planned, writer):
    pack_study(ledger, ledger.path)
    for trial in planned[:2]:
        fail(writer, trial.trial_id)
    compact_ledger(ledger)
    end(writer, planned[0].trial_id)
    statuses = {key: found.status for key, found in trial_results(ledger.path).items()}
    assert [statuses[trial.trial_id] for trial in planned] == ["completed", "failed", *["completed"] * 2]


def test_publishing_in_place_leaves_one_file(ledger, planned, writer):
    compact_ledger(ledger)
    fail(writer, planned[0].trial_id)
    pack_study(ledger, ledger.path)
    assert names(ledger) == ["all.parquet"]
    assert trial_results(ledger.path)[planned[0].trial_id].status == "failed"


def test_a_reader_that_is_overtaken_between_listing_and_reading_misses_nothing(ledger, monkeypatch):
    before, read, overtaken = read_study(ledger.path), trial_files.read_trial_file, []

    def after_compaction(path, wanted):
        if not overtaken:
            overtaken.append(compact_ledger(ledger))
        return read(path, wanted)

    monkeypatch.setattr(trial_files, "read_trial_file", after_compaction)
    assert read_study(ledger.path) == before
    assert overtaken == [4]


def test_a_reader_whose_listing_is_overtaken_misses_nothing(ledger, monkeypatch):
    """As where the listing of a folder passes the new file's place before it is there."""
    before, real, listings = read_study(ledger.path), trial_files.plain_entries, []

    def between(folder):
        listings.append(folder)
        return [] if len(listings) == 1 else real(folder)

    compact_ledger(ledger)
    monkeypatch.setattr(trial_files, "plain_entries", between)
    assert read_study(ledger.path) == before


def test_a_link_to_nothing_is_refused(ledger, planned):
    ledger.trial_file(planned[0].trial_id).unlink()
    ledger.trial_file(planned[0].trial_id).symlink_to("nowhere")
    with pytest.raises(StudyFolderError, match="a link"):
        trial_results(ledger.path)


def _rows(ledger, count: int, start: int) -> None:
    (row,) = pq.read_table(next(ledger.trials.glob("*.parquet"))).slice(0, 1).to_pylist()
    for number in range(start, start + count):
        trial_id = f"{number:016x}"
        pq.write_table(
            pa.Table.from_pylist([row | {"trial_id": trial_id}], schema=SCHEMA), ledger.trial_file(trial_id)
        )


def test_there_are_few_files_however_many_trials(ledger):
    compact_ledger(ledger)
    for number in range(16):
        _rows(ledger, 2, 2 * number)
        compact_ledger(ledger)
        assert len(trial_results(ledger.path)) == 4 + 2 * (number + 1)
        assert len(names(ledger)) <= 5
    assert [pq.read_metadata(ledger.trials / name).num_rows for name in names(ledger)] == [32, 4]


def test_large_files_are_not_rewritten(ledger, monkeypatch):
    compact_ledger(ledger)
    monkeypatch.setattr(compaction, "MAX_BYTES", 10)
    _rows(ledger, 4, 0)
    compact_ledger(ledger)
    assert len(names(ledger)) == 2


def test_many_files_of_an_older_ledger_are_merged_in_parts(ledger, monkeypatch):
    monkeypatch.setattr(compaction, "MAX_FILES", 2)
    assert compact_ledger(ledger) == 4 + 1, "the second part takes in the first"
    assert len(names(ledger)) == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_stays_and_is_set_aside_by_a_run(ledger, planned, damage, caplog):
    path = ledger.trial_file(planned[1].trial_id)
    DAMAGES[damage](path)
    compact_ledger(ledger)
    assert names(ledger) == [FIRST, path.name]
    assert len(repair_folder(ledger)) == 1
    assert missing_trials(planned, trial_results(ledger.path)) == [planned[1]]


def test_a_file_of_a_later_release_stays(ledger, planned):
    path = ledger.trial_file(planned[0].trial_id)
    later = pq.read_table(path).append_column("of_tomorrow", pa.array([1]))
    pq.write_table(later, path)
    compact_ledger(ledger)
    assert names(ledger) == [FIRST, path.name]
    assert pq.read_table(path) == later


def test_what_overrides_a_damaged_file_of_many_trials_goes_on_doing_so(ledger, planned, writer):
    compact_ledger(ledger)
    DAMAGES["garbage"](ledger.trials / FIRST)
    for trial in planned:
        fail(writer, trial.trial_id)
    compact_ledger(ledger)
    assert names(ledger) == [FIRST, "compacted-00000002.parquet"]
    assert {found.status for found in trial_results(ledger.path).values()} == {"failed"}


def test_a_run_compacts_as_its_trials_end_and_goes_on_where_it_cannot(
    writer, folder, planned, monkeypatch, caplog
):
    monkeypatch.setattr("l2rw_ray.results.writer.MIN_FILES", 2)
    end(writer, planned[0].trial_id)
    end(writer, planned[1].trial_id)
    assert names(folder) == [FIRST]

    def refuse(*_, **__):
        raise OSError(28, os.strerror(28))

    end(writer, planned[2].trial_id)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StudyFolderError, match="free the disk"):
        compaction._merge(folder, trial_files.trial_files(folder))
    compaction.compact_quietly(folder)
    assert len(trial_results(folder.path)) == 3
