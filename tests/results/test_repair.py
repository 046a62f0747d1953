"""What a run makes whole before it begins."""

import os
import shutil
import subprocess
import sys

import pytest

from l2rw_ray.events import TrialEnded, TrialStatus
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.repair import repair_folder
from l2rw_ray.results.status import missing_trials
from l2rw_ray.results.trial_result import INTERRUPTED
from tests.results.damages import DAMAGES, end


@pytest.fixture
def exited() -> int:
    """Id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_beside_earlier_ones(writer, ledger, planned, damage):
    trial_id = planned[1].trial_id
    for number in (1, 2):
        DAMAGES[damage](ledger.trial_file(trial_id))
        (line,) = repair_folder(ledger)
        aside = f"{trial_id}.parquet.damaged" + (".2" if number == 2 else "")
        assert line.endswith(f": now {aside}, and its trial counts as missing")
        assert (ledger.trials / aside).is_file()
        assert missing_trials(planned, trial_results(ledger.path)) == [planned[1]]
        end(writer, trial_id)
        assert missing_trials(planned, trial_results(ledger.path)) == []
    assert repair_folder(ledger) == []
    assert len(list(ledger.trials.glob("*.damaged*"))) == 2


def test_what_killed_runs_left_half_written_is_removed(ledger, planned, exited):
    done = ledger.trial_file(planned[0].trial_id)
    shutil.copy(done, done.with_name(f".{done.name}.{exited}.tmp"))
    (ledger.path / f".plan.json.{exited}.tmp").write_text("[")
    assert repair_folder(ledger) == []
    assert not list(ledger.path.rglob("*.tmp"))
    assert len(trial_results(ledger.path)) == 4


def test_what_another_command_is_writing_stays(ledger):
    draft = ledger.path / f".plan.json.{os.getppid()}.tmp"
    draft.write_text("[")
    repair_folder(ledger)
    assert draft.exists()


def test_checkpoints_of_recorded_trials_are_removed(writer, folder, planned):
    """As those that a lost worker has saved while another one ended its trial."""
    completed, interrupted, earlier, failed = (trial.trial_id for trial in planned)
    end(writer, completed)
    end(writer, earlier)
    writer(TrialEnded(interrupted, TrialStatus.STOPPED, 1, 3, 1.0, {}, error=INTERRUPTED))
    writer(TrialEnded(failed, TrialStatus.FAILED, 1, 3, 1.0, {}, error="lost"))
    for trial_id in (completed, interrupted, failed, "underway"):
        (folder.checkpoints / trial_id).mkdir()
        (folder.checkpoints / trial_id / "3-abc.pt").touch()
    (folder.checkpoints / f"{earlier}.pt").touch()
    repair_folder(folder)
    assert {path.name for path in folder.checkpoints.iterdir()} == {
        *(interrupted, "underway"),
        failed,  # it may be under way again, with --retry-failed
    }
