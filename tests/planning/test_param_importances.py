"""What a search tells of its parameters is kept at its end, and never fails a run."""

import json

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.planning.param_importances import keep_importances
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.planning.strategies.build import build_strategies
from l2rw_ray.results import StudyFolder
from tests.planning.playing import METRIC, best_at_a_tenth, play

SPACE = {
    "optim.lr": {"kind": "float", "low": 0.001, "high": 1.0, "log": True},
    "optim.momentum": {"kind": "float", "low": 0.0, "high": 0.9},
}


@pytest.fixture
def search(study_tree, tmp_path):
    """Plays a search of random configurations; returns its study, strategy and folder."""

    def run(figures=best_at_a_tenth, trials=10):
        folder = StudyFolder(tmp_path / "study")
        folder.create()
        design = {"kind": "search", "space": SPACE, "budget": {"trials": trials}, "sampler": "random"}
        spec = parse_study(study_tree | {"design": design, "seeds": 1})
        play(spec, folder, figures)
        (strategy,) = build_strategies(spec, plan_study(spec), folder)
        return spec, strategy, folder

    return run


def test_the_parameter_that_matters_is_told(search):
    spec, strategy, folder = search()
    keep_importances(spec, strategy, folder)
    told = json.loads(folder.importances.read_text())
    assert told["figure"] == METRIC
    assert told["importances"]["optim.lr"] > 0.5 > told["importances"]["optim.momentum"]
    assert sum(told["importances"].values()) == pytest.approx(1)


@pytest.mark.parametrize("figures", [lambda trial: {METRIC: 0.5}, lambda trial: "failed"])
def test_configurations_that_tell_nothing_leave_nothing(search, figures):
    spec, strategy, folder = search(figures, trials=4)
    folder.importances.write_text("of an earlier objective")
    keep_importances(spec, strategy, folder)
    assert not folder.importances.exists()


def test_another_design_leaves_nothing(study_tree, tmp_path):
    spec = parse_study(study_tree | {"design": {"kind": "grid", "factors": {"optim.lr": [0.1]}}})
    keep_importances(spec, None, StudyFolder(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(search, tmp_path):
    spec, strategy, _ = search(trials=4)
    with pytest.raises(StudyFolderError, match="free the disk"):
        keep_importances(spec, strategy, StudyFolder(tmp_path / "gone" / "study"))
