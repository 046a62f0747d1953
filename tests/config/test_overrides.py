"""Assigning a path: what follows when it selects another variant of a section."""

from l2rw_ray.config.overrides import assign, look_up
from l2rw_ray.config.study import StudySpec


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
