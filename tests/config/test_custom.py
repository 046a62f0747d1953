"""Import paths in study files: where they may stand, their options, and what counts in a fingerprint."""

from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.config import load_study, parse_study
from l2rw_ray.config.loading import dump_study
from l2rw_ray.config.overrides import assign
from l2rw_ray.config.study import StudySpec
from l2rw_ray.errors import ConfigError, InputError
from l2rw_ray.planning.plan import plan_study

WriteCode = Callable[[str, str], Path]


@pytest.fixture
def own_tree(study_tree: dict, write_code: WriteCode) -> dict:
    """The small study with source, model, method and metric from custom code, which nothing executes."""
    for module in ("__init__", "data", "models", "methods", "metrics"):
        write_code(f"own/{module}.py", "raise SystemExit")
    trial = study_tree["trial"]
    trial["data"] |= {"source": "own.data:load", "options": {"blur": 0.1}}
    trial["model"] = {"name": "own.models:build", "options": {"width": 32}}
    trial["method"] = {"name": "own.methods:Method"}
    trial["metrics"] = ["own.metrics:top_two"]
    study_tree["design"]["factors"] = {"model.options.width": [16, 32]}
    return study_tree


def _ids(tree: dict) -> list[str]:
    return [trial.trial_id for trial in plan_study(parse_study(tree))]


def test_options_are_factors_and_overrides(own_tree: dict, tmp_path: Path) -> None:
    trials = plan_study(parse_study(own_tree))
    assert [trial.config.model.options for trial in trials] == [{"width": w} for w in (16, 16, 32, 32)]
    assert trials[0].label == "Method · width 16 · seed 0"
    dump_study(parse_study(own_tree), tmp_path / "study.yaml")
    overrides = ["design.factors={optim.lr: [0.1]}", "trial.model.options.width=8"]
    spec = load_study(tmp_path / "study.yaml", overrides)
    assert spec.trial.model.options == {"width": 8}
    assert plan_study(spec)[0].config.data.options == {"blur": 0.1}


def test_options_go_when_one_of_our_own_takes_the_place(own_tree: dict) -> None:
    for path, name in (("trial.model.name", "mlp"), ("trial.data.source", "digits")):
        own_tree = assign(own_tree, path, name, StudySpec)
    assert own_tree["trial"]["model"] == {"name": "mlp"}
    assert "options" not in own_tree["trial"]["data"]


def test_an_option_may_be_varied_for_its_method_only(own_tree: dict) -> None:
    method = "own.methods:Method"
    own_tree["design"] = {
        "kind": "grid",
        "factors": {"method.name": ["uniform", method], "method.options.keep": [0.5, 0.8]},
        "when": {"method.options.keep": {"method.name": method}},
    }
    trials = plan_study(parse_study(own_tree | {"seeds": 1}))
    assert [getattr(trial.config.method, "options", None) for trial in trials] == [
        None,
        {"keep": 0.5},
        {"keep": 0.8},
    ]


def test_objective_may_be_an_own_metric_of_the_validation_set_only(own_tree: dict) -> None:
    own_tree["objective"] = {"metric": "validation_top_two"}
    assert parse_study(own_tree).objective.metric == "validation_top_two"
    own_tree["objective"] = {"metric": "test_top_two"}
    with pytest.raises(
        ConfigError, match=r"objective\.metric = 'test_top_two': unknown; .*validation_top_two"
    ):
        parse_study(own_tree)


def test_editing_the_code_changes_the_fingerprint(own_tree: dict, write_code: WriteCode) -> None:
    before = _ids(own_tree)
    assert _ids(own_tree) == before
    write_code("own_other.py", "# beside the package")
    write_code("own/notes.txt", "no code")
    assert _ids(own_tree) == before
    write_code("own/models.py", "raise SystemExit  # edited")
    edited = _ids(own_tree)
    assert not set(edited) & set(before)
    write_code("own/more.py", "")
    assert not set(_ids(own_tree)) & {*before, *edited}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("trial.data.options.blur", 0.2),
        ("trial.method.options.keep", 0.5),
        ("trial.metrics", []),
        ("trial.model.name", "own.models:other"),
    ],
)
def test_options_and_paths_count(own_tree: dict, path: str, value: object) -> None:
    assert not set(_ids(own_tree)) & set(_ids(assign(own_tree, path, value, StudySpec)))


def test_code_counts_for_the_trials_that_name_it(study_tree: dict, write_code: WriteCode) -> None:
    write_code("own_method.py", "")
    study_tree["design"]["factors"] = {"method.name": ["uniform", "own_method:Method"]}
    before = _ids(study_tree)
    write_code("own_method.py", "# edited")
    after = _ids(study_tree)
    assert after[:2] == before[:2], "plain training names no code"
    assert not set(after[2:]) & set(before[2:])


def test_an_installed_package_counts_by_its_version(
    study_tree: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_tree["trial"]["metrics"] = ["sklearn.metrics:log_loss"]
    before = _ids(study_tree)
    monkeypatch.setattr("l2rw_ray.config.code_identity._release", lambda name: f"{name} 99")
    assert not set(_ids(study_tree)) & set(before)


def test_a_study_whose_code_is_gone_reads_but_cannot_be_planned(own_tree: dict, tmp_path: Path) -> None:
    spec = parse_study(own_tree)
    dump_study(spec, tmp_path / "study.yaml")
    for file in (tmp_path / "own").iterdir():
        file.unlink()
    (tmp_path / "own").rmdir()
    assert load_study(tmp_path / "study.yaml") == spec
    with pytest.raises(InputError, match=r"trial\.data\.source = 'own\.data:load': no module 'own\.data' in"):
        plan_study(spec)
