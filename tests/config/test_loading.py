"""Study files read back as they were written, and every shipped study is valid."""

from pathlib import Path

import pytest

from l2rw_ray.config import load_study, parse_study
from l2rw_ray.config.loading import dump_study, read_study_file
from l2rw_ray.errors import ConfigError
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


SIZES_OF_DIGITS = [
    f"trial.data.{part}_size={size}" for part, size in (("train", 500), ("validation", 200), ("test", 300))
]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_study_is_valid_here_and_on_digits(path: Path) -> None:
    spec = load_study(path)
    assert representative_trials(spec)
    if not spec.trial.data.is_regression and not spec.trial.data.has_texts:  # digits have neither
        assert representative_trials(load_study(path, ["trial.data.source=digits", *SIZES_OF_DIGITS]))


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


def test_keys_with_an_x_are_for_anchors(study_tree: dict, tmp_path: Path) -> None:
    dump_study(parse_study(study_tree), tmp_path / "study.yaml")
    text = (tmp_path / "study.yaml").read_text()
    optim = "x-optim: &optim {name: sgd, lr: 0.3, epochs: 1}\n"
    (tmp_path / "anchored.yaml").write_text(f"{optim}{text}")
    spec = load_study(tmp_path / "anchored.yaml", ["x-more=3"])
    assert spec == parse_study(study_tree)
    grid = "design: {kind: grid, factors: {optim: [*optim, {<<: *optim, lr: 0.1}]}}\n"
    (tmp_path / "anchored.yaml").write_text(f"{optim}{text[: text.index('design:')]}{grid}")
    levels = load_study(tmp_path / "anchored.yaml").design.factors["optim"]
    assert [level["lr"] for level in levels] == [0.3, 0.1]


def test_a_variant_may_nest_sections(study_tree: dict) -> None:
    variants = {
        "slow": {"optim": {"lr": 0.1}},
        "noisy": {"data": {"noise": {"rate": 0.4}, "meta_per_class": 1}},
        "plain": {"method": {"name": "uniform"}, "measurement": {"probe_rounds": 0}},
    }
    study_tree["design"] = {"kind": "ablation", "variants": variants}
    spec = parse_study(study_tree)
    assert spec.design.variants == {
        "slow": {"optim.lr": 0.1},
        "noisy": {"data.noise.rate": 0.4, "data.meta_per_class": 1},
        "plain": variants["plain"],
    }
    configs = [trial.config for trial in representative_trials(spec)[:: len(spec.seed_values)]]
    assert [config.optim.lr for config in configs] == [0.05, 0.1, 0.05, 0.05]
    assert configs[2].data.noise.rate == 0.4


@pytest.mark.parametrize(
    ("metric", "mode"), [("loss", "min"), ("accuracy", "max"), ("balanced_accuracy", "max")]
)
def test_the_mode_of_an_objective_follows_from_its_metric(metric: str, mode: str, study_tree: dict) -> None:
    study_tree["objective"] = {"metric": f"validation_{metric}"}
    assert parse_study(study_tree).objective.mode == mode


def test_a_stored_study_that_maximised_a_loss_stays_readable(study_tree: dict, tmp_path: Path) -> None:
    study_tree["objective"] = {"metric": "validation_loss", "mode": "max"}
    dump_study(parse_study(study_tree), tmp_path / "study.yaml")
    assert read_study_file(tmp_path / "study.yaml").objective.mode == "max"
    with pytest.raises(ConfigError, match="validation_loss is minimised; use min"):
        load_study(tmp_path / "study.yaml")
