"""Assigning a path: what follows when it selects another variant of a section."""

import pytest

from l2rw_ray.config.overrides import assign, look_up, paths_named
from l2rw_ray.config.study import StudySpec
from l2rw_ray.config.trial import TrialConfig


def test_assignment_copies_and_creates_sections(study_tree: dict) -> None:
    changed = assign(study_tree, "trial.data.bias.kind", "none", StudySpec)
    assert look_up(changed, "trial.data.bias.kind") == "none"
    assert "bias" not in study_tree["trial"]["data"]


def test_fields_of_the_former_variant_are_dropped(study_tree: dict) -> None:
    study_tree["trial"]["method"] = {"name": "l2rw", "update_every": 4}
    plain = assign(study_tree, "trial.method.name", "uniform", StudySpec)
    assert plain["trial"]["method"] == {"name": "uniform"}


def test_fields_that_both_variants_have_are_kept(study_tree: dict) -> None:
    adam = assign(study_tree, "trial.optim.name", "adam", StudySpec)
    assert adam["trial"]["optim"] == {"name": "adam", "lr": 0.05, "batch_size": 20, "epochs": 2}
    other_source = assign(study_tree, "trial.data.source", "cifar10", StudySpec)
    assert other_source["trial"]["data"]["noise"] == {"kind": "uniform", "rate": 0.3}


def test_fields_at_the_former_variants_default_take_the_new_ones(study_tree: dict) -> None:
    method = {"name": "l2rw", "lookahead": "zero", "update_every": 1, "estimator": "ghost"}
    study_tree["trial"]["method"] = method
    learned = assign(study_tree, "trial.method.name", "meta_weight_net", StudySpec)
    assert learned["trial"]["method"] == {"name": "meta_weight_net", "update_every": 1, "estimator": "ghost"}
    study_tree["trial"]["method"] = method | {"lookahead": "optimizer"}
    chosen = assign(study_tree, "trial.method.name", "meta_weight_net", StudySpec)
    assert chosen["trial"]["method"]["lookahead"] == "optimizer"


def test_unknown_variant_keeps_everything_for_the_validation_to_complain(study_tree: dict) -> None:
    changed = assign(study_tree, "trial.optim.name", "sdg", StudySpec)
    assert changed["trial"]["optim"]["momentum"] == 0.9


def test_keys_that_are_paths_are_found():
    draft = {"design": {"factors": {"optim.lr": [0.1], "optim.lr.more": [1]}}}
    changed = assign(draft, "design.factors.optim.lr", [0.2], None)
    assert changed == {"design": {"factors": {"optim.lr": [0.2], "optim.lr.more": [1]}}}
    deeper = {"space": {"optim.lr": {"low": 1}}}
    assert assign(deeper, "space.optim.lr.low", 2, None) == {"space": {"optim.lr": {"low": 2}}}


@pytest.mark.parametrize(
    ("path", "value", "kept"),
    [
        ("design.factors.optim.lr", [0.1], {"factors": {"optim.lr": [0.1]}}),
        ("design.when.method.update_every", {"method.name": "l2rw"}, None),
        ("design.variants.big.optim.lr", 0.1, {"variants": {"big": {"optim.lr": 0.1}}}),
        ("design.space.optim.lr", {"kind": "float"}, {"space": {"optim.lr": {"kind": "float"}}}),
        ("design.space.optim.lr.low", 0.1, {"space": {"optim.lr": {"low": 0.1}}}),
        ("design.space.data.noise.kind", {"kind": "int"}, {"space": {"data.noise.kind": {"kind": "int"}}}),
        ("design.arms.a.set.method.name", "l2rw", {"arms": {"a": {"set": {"method.name": "l2rw"}}}}),
        ("design.arms.a.space.optim.lr.high", 1, {"arms": {"a": {"space": {"optim.lr": {"high": 1}}}}}),
    ],
)
def test_keys_of_a_design_that_are_paths_need_not_be_there_yet(path, value, kept) -> None:
    name = path.split(".")[1]
    kinds = {"variants": "ablation", "space": "search", "arms": "tuned_comparison"}
    kind = kinds.get(name, "grid")
    kept = kept or {"when": {"method.update_every": value}}
    changed = assign({"design": {"kind": kind}}, path, value, StudySpec)
    assert changed == {"design": {"kind": kind, **kept}}


def test_another_kind_of_parameter_drops_what_it_does_not_have() -> None:
    space = {"optim.lr": {"kind": "int", "low": 1, "high": 3, "step": 2}}
    changed = assign(
        {"design": {"kind": "search", "space": space}}, "design.space.optim.lr.choices", [1], StudySpec
    )
    assert changed["design"]["space"]["optim.lr"]["choices"] == [1]
    categorical = assign(changed, "design.space.optim.lr.kind", "categorical", StudySpec)
    assert categorical["design"]["space"]["optim.lr"] == {"kind": "categorical", "choices": [1]}


def test_options_of_custom_code_are_names_not_paths() -> None:
    model = {"name": "own:net", "options": {"head": {"width": 3}}}
    changed = assign({"trial": {"model": model}}, "trial.model.options.head.depth", 2, StudySpec)
    assert changed["trial"]["model"]["options"] == {"head": {"width": 3, "depth": 2}}


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("lr", {"optim.lr": True, "method.lr": False}),
        ("rate", {"data.noise.rate": False, "data.meta_noise.rate": False}),
        ("nothing", {}),
    ],
)
def test_fields_are_found_in_all_sections(name: str, paths: dict[str, bool]) -> None:
    assert paths_named(TrialConfig, name) == paths
