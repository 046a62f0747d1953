"""Claims by two machines, on a folder that stands for a store."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyarrow.fs import LocalFileSystem

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.remote.claim import Claim
from l2rw_ray.results.remote.location import Location
from l2rw_ray.results.remote.store_files import StoreFiles


@dataclass(frozen=True)
class Folder(Location):
    """A location that is a folder of this machine."""

    def open(self):
        return LocalFileSystem(), self.uri


@pytest.fixture
def files(tmp_path) -> StoreFiles:
    (tmp_path / ".claims").mkdir()
    return StoreFiles(Folder("s3://studies/a", str(tmp_path)), ".claims")


def claims_in(files: StoreFiles) -> Path:
    return Path(files.location.uri) / ".claims"


def test_a_second_run_is_refused_by_name_and_free_to_start_afterwards(files):
    with Claim(files, "here").held():
        with pytest.raises(StudyFolderError) as refused, Claim(files, "there").held():
            pass
        assert f"'s3://studies/a': in use by another run (process {os.getpid()} on " in str(refused.value)
        assert files.names() == ["here"], "who was refused leaves nothing"
    with Claim(files, "there").held():
        assert files.names() == ["there"]
    assert files.names() == []


def test_a_killed_run_frees_the_study_after_a_while_and_at_once_where_it_ran(files):
    claim = claims_in(files) / "killed"
    claim.write_text("{")
    with pytest.raises(StudyFolderError, match="unknown process"), Claim(files, "there").held():
        pass
    with Claim(files, "killed").held():
        pass
    claim.write_text("{")
    os.utime(claim, (time.time() - 100, time.time() - 100))
    with Claim(files, "there").held():
        assert files.names() == ["there"]


def test_a_claim_is_renewed_and_its_loss_is_noticed(files):
    claim = Claim(files, "here", renew_s=0.01)
    file = claims_in(files) / "here"
    with claim.held():
        os.utime(file, (0, 0))
        deadline = time.monotonic() + 20
        while file.stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not claim.is_lost
        (claims_in(files) / "there").write_text("another took over")
        file.unlink()
        while not claim.is_lost:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert files.names() == ["there"], "what is another's stays"
