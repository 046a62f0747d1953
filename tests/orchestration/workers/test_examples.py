"""Where a worker keeps the evidence on labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from l2rw_ray.config import PlannedTrial, Stage, parse_study
from l2rw_ray.orchestration.workers.examples import keeping_examples
from l2rw_ray.orchestration.workers.run_config import RunConfig
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.examples import EVIDENCE, read_examples
from l2rw_ray.results.opening import open_study_folder, read_study_folder
from l2rw_ray.training import TrialExamples
from l2rw_ray.training.examples.predictions import Predictions
from tests.object_store import BUCKET, object_store

nan = np.full(2, np.nan, dtype=np.float32)
FOUND = TrialExamples(
    class_names=("a", "b"),
    rows_N=np.array([4, 2]),
    ids=("4", "2"),
    given_N=np.array([0, 1]),
    targets_N=nan,
    is_wrong_N=np.array([1, -1], dtype=np.int8),
    is_trained_N=np.array([True, False]),
    evidence=dict.fromkeys(EVIDENCE, nan),
    predictions=Predictions(np.zeros((2, 1), np.int16), np.ones((2, 1), np.float32), nan),
    thumbnails={1: b"png"},
    texts={0: "a text"},
)


@pytest.fixture
def planned(study_tree: dict) -> PlannedTrial:
    return plan_study(parse_study(study_tree))[0]


def run_of(study_tree: dict, folder: StudyFolder, **changes: object) -> RunConfig:
    return RunConfig.of(parse_study({**study_tree, "keep": {"examples": True}, **changes}), folder, 1.0, 1)


def test_evidence_goes_to_the_study_folder(study_tree: dict, planned: PlannedTrial, tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "out")
    folder.create()
    keep = keeping_examples(run_of(study_tree, folder), planned)
    assert keep is not None
    keep(FOUND)
    read = read_examples(folder.examples_file(planned.trial_id))
    assert read.ids == ("4", "2")
    assert read.is_wrong.tolist() == [1, -1]
    assert read.images == {1: b"png"}
    assert read.texts == {0: "a text"}


def test_it_is_kept_if_asked_for_and_not_while_an_arm_is_tuned(
    study_tree: dict, planned: PlannedTrial, tmp_path: Path
) -> None:
    folder = StudyFolder(tmp_path)
    assert keeping_examples(run_of(study_tree, folder, keep={}), planned) is None
    tuning = replace(planned, stage=Stage.SEARCH)
    assert keeping_examples(run_of(study_tree, folder), tuning) is None
    search = {
        "kind": "search",
        "space": {"optim.lr": {"kind": "float", "low": 0.1, "high": 1.0}},
        "budget": {"trials": 2},
    }
    assert keeping_examples(run_of(study_tree, folder, design=search), tuning) is not None


def test_evidence_goes_to_an_object_store_and_comes_back(
    study_tree: dict, planned: PlannedTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"s3://{BUCKET}/{tmp_path.name}/small"
    with object_store():
        monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "here"))
        with open_study_folder(address) as folder:
            keep = keeping_examples(run_of(study_tree, folder), planned)
            assert keep is not None
            keep(FOUND)
            assert not folder.examples.exists(), "nothing is written beside the store"
        monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "there"))
        with read_study_folder(address) as folder:
            folder.fetch_examples()
            assert read_examples(folder.examples_file(planned.trial_id)).ids == ("4", "2")
            assert folder.store is not None
            folder.store.remove(folder.examples_file(planned.trial_id))
            folder.fetch_examples()
            assert not list(folder.examples.iterdir()), "the store is the truth"
