"""A disk that is full or read-only, and files that are damaged."""

import subprocess
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.faults.conftest import Disturb, Undisturbed
from tests.faults.disturbed import DisturbedStudy
from tests.faults.fault_table import Tries
from tests.faults.mounts import read_only, small_disk

pytestmark = pytest.mark.timeout(3000)
_FREQUENT = {"every_s": 0.1, "keep": 2}


def _ends_in_one_line(study: DisturbedStudy, process: subprocess.Popen) -> None:
    """The run says which file and what to do, and nothing of its insides."""
    output = study.end(process, 2)
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert str(study.out) in line
    assert "Traceback" not in output
    study.must_have_ended()


@pytest.mark.fault(
    "the study folder's disk becomes full",
    "what is recorded; the run ends and says so, the same command goes on",
)
def test_full_disk(undisturbed: Undisturbed, disturb: Disturb, tries: Tries) -> None:
    expected, study = undisturbed(), disturb("--max-concurrent-trials", "1", seeds=1)
    with small_disk(study.out):
        process = study.start()
        study.wait_for_training(records=1)
        filler = study.out / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        tries.add()
        _ends_in_one_line(study, process)
        filler.unlink()
        study.complete()
        study.must_equal(expected)


@pytest.mark.fault(
    "the study folder becomes read-only, or is so from the start",
    "what is recorded; the run ends and says so, the same command goes on",
)
def test_read_only_folder(undisturbed: Undisturbed, disturb: Disturb, tries: Tries) -> None:
    expected, study = undisturbed(), disturb("--max-concurrent-trials", "1", seeds=1)
    process = study.start()
    study.wait_for_training(records=1)
    with read_only(study.out / "trials"):
        tries.add()
        _ends_in_one_line(study, process)
    with read_only(study.out):
        tries.add()
        _ends_in_one_line(study, study.start())
    study.complete()
    study.must_equal(expected)


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.fault("a damaged checkpoint", "all; its trial goes on from the checkpoint before")
def test_damaged_checkpoint(undisturbed: Undisturbed, disturb: Disturb, tries: Tries) -> None:
    expected, study = undisturbed(), disturb("--max-concurrent-trials", "1", checkpoints=_FREQUENT, seeds=1)
    process = study.start()
    study.wait_for_training(checkpoints=2)
    process.kill()
    process.wait()
    study.must_have_ended()
    folders = (study.out / "checkpoints").iterdir()
    last = [checkpoints[-1] for folder in folders if len(checkpoints := sorted(folder.glob("*.pt"))) > 1]
    assert last
    for path in last:
        _flip_a_byte(path)
        tries.add()
    study.complete()
    study.must_equal(expected)
    told = [
        warning
        for path in (study.out / "trials").glob("*.parquet")
        for warning in pq.read_table(path)["warnings"][0].as_py()
    ]
    for path in last:
        assert any(path.name in warning and "resumes from an earlier one" in warning for warning in told)


@pytest.mark.fault("a damaged file of the ledger", "all; it is named and set aside, its trial is run again")
def test_damaged_record(undisturbed: Undisturbed, disturb: Disturb, tries: Tries) -> None:
    expected, study = undisturbed(), disturb("--max-concurrent-trials", "1", seeds=1)
    study.complete()
    cut, changed = sorted((study.out / "trials").glob("*.parquet"))
    cut.write_bytes(cut.read_bytes()[:-100])
    _flip_a_byte(changed)
    tries.add(2)
    output = study.complete()
    for path in (cut, changed):
        assert path.name in output
        assert path.with_name(f"{path.name}.damaged").is_file()
    study.must_equal(expected)
