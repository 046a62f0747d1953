"""Study files read back as they were written, and every shipped study is valid."""

from pathlib import Path

import pytest

from l2rw_ray.config import load_study, parse_study
from l2rw_ray.config.loading import dump_study
from l2rw_ray.planning.plan import representative_trials

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))


def test_resolved_study_reads_back_equal(study_tree: dict, tmp_path: Path) -> None:
    study_tree["trial"]["data"]["bias"] = {"kind": "dominant_class", "level": 0.5, "class": "3"}
    spec = parse_study(study_tree)
    dump_study(spec, tmp_path / "study.yaml")
    assert load_study(tmp_path / "study.yaml") == spec


def test_overrides_are_yaml(study_tree: dict, tmp_path: Path) -> None:
    dump_study(parse_study(study_tree), tmp_path / "study.yaml")
    spec = load_study(tmp_path / "study.yaml", ["trial.optim.lr=1e-3", "seeds=[4, 7]"])
    assert spec.trial.optim.lr == 1e-3
    assert spec.seed_values == (4, 7)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_study_is_valid_here_and_on_digits(path: Path) -> None:
    spec = load_study(path)
    assert representative_trials(spec)
    if not spec.trial.data.is_regression:  # digits have no target
        assert representative_trials(load_study(path, ["trial.data.source=digits"]))


def test_a_tuned_comparison_tests_on_examples_that_no_search_has_seen(study_tree: dict) -> None:
    study_tree["design"] = {
        "kind": "tuned_comparison",
        "arms": {"uniform": {"set": {"method.name": "uniform"}}, "l2rw": {"set": {"method.name": "l2rw"}}},
        "space": {"optim.lr": {"kind": "float", "low": 0.01, "high": 0.1}},
        "budget": {"trials": 2},
    }
    assert parse_study(study_tree).trial.data.test_seed == 0
    study_tree["trial"]["data"]["test_seed"] = 7
    assert parse_study(study_tree).trial.data.test_seed == 7
