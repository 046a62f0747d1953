"""Uploads to an object store, on a local S3 server."""

import pickle

import pytest
import torch

from l2rw_ray.events import TrialEnded, TrialStatus, Verdict
from l2rw_ray.orchestration.workers.uploads import checkpoint_files, uploading_model
from l2rw_ray.results.remote.location import parse_location
from l2rw_ray.results.remote.store_files import StoreFiles
from l2rw_ray.training import CheckpointStore
from tests.object_store import BUCKET, object_store


@pytest.fixture(scope="module", autouse=True)
def _store():
    with object_store():
        yield


@pytest.fixture
def location(tmp_path):
    return parse_location(f"s3://{BUCKET}/{tmp_path.name}/small")


def test_another_node_resumes_from_a_checkpoint(location, tmp_path):
    files = checkpoint_files(location, "aaaa")
    store = CheckpointStore(tmp_path / "here", "aaaa", files=files)
    for step in (3, 6, 9):
        store.save({"step": step, "model": {"weight": torch.full((2,), float(step))}})
    there = pickle.loads(pickle.dumps(files))
    state = CheckpointStore(tmp_path / "there", "aaaa", files=there).load()
    assert state is not None
    assert state["step"] == 9
    assert torch.equal(state["model"]["weight"], torch.full((2,), 9.0))
    assert len(files.names()) == store.policy.keep
    files.write(files.names()[-1], b"damaged")
    again = CheckpointStore(tmp_path / "there", "aaaa", files=there)
    assert again.load()["step"] == 6
    assert not list(tmp_path.iterdir()), "nothing is written beside the store"


def refuse(self, name, content):
    raise OSError("AWS Error ACCESS_DENIED during PutObject operation")


def test_a_checkpoint_that_the_store_refuses_ends_no_trial(location, tmp_path, monkeypatch):
    monkeypatch.setattr(StoreFiles, "write", refuse)
    store = CheckpointStore(tmp_path, "aaaa", files=checkpoint_files(location, "aaaa"))
    store.save({"step": 3})
    (warning,) = store.warnings
    assert "was not written (AWS Error ACCESS_DENIED during PutObject operation)" in warning
    assert f"{location.address}/checkpoints/aaaa" in warning


def test_a_model_is_in_the_store_before_its_trial_has_ended(location, tmp_path, monkeypatch):
    file, emitted = tmp_path / "aaaa.pt", []
    models = StoreFiles(location, "models")

    def emit(event):
        emitted.append((event, models.names()))
        return Verdict.CONTINUE

    end = TrialEnded("aaaa", TrialStatus.COMPLETED, 1, 3, 1.0)
    keep = uploading_model(emit, location, "aaaa", file)
    assert keep(end) is Verdict.CONTINUE
    file.write_bytes(b"weights")
    keep(end)
    assert emitted == [(end, []), (end, ["aaaa.pt"])]
    assert models.read("aaaa.pt") == b"weights"
    assert not file.exists(), "only the uploaded copy stays"
    file.write_bytes(b"weights")
    monkeypatch.setattr(StoreFiles, "write", refuse)
    keep(end)
    (warning,) = emitted[-1][0].warnings
    assert "its model was not uploaded (" in warning


def test_without_a_store_nothing_is_uploaded(tmp_path):
    assert checkpoint_files(None, "aaaa") is None
    assert uploading_model(print, None, "aaaa", tmp_path / "aaaa.pt") is print
