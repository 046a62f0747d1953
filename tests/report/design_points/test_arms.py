"""The sentences that explain what is compared."""

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.methods.registry import METHODS as REGISTERED
from l2rw_ray.report.comparisons.contrast import choose_contrast
from l2rw_ray.report.design_points import arms
from l2rw_ray.report.design_points.arms import arms_of
from l2rw_ray.report.design_points.setting import Factor

HELD = {"method.name": "l2rw", "method.update_every": 4}


@pytest.fixture
def explained(study_tree):
    def explain(methods, factors=(), **design):
        spec = parse_study(study_tree | {"design": design} if design else study_tree)
        return dict(arms_of(spec, choose_contrast(methods, factors)))

    return explain


def test_every_built_in_method_has_a_sentence():
    assert set(arms.METHODS) == set(REGISTERED.names())
    assert not [text for text in arms.METHODS.values() if text.endswith(".") or len(text) > 110]


def test_methods_are_explained_the_control_first(explained):
    found = explained(("l2rw", "uniform", "mine:method"))
    assert list(found) == ["uniform", "l2rw", "mine:method"]
    assert found["mine:method"] == "custom method mine:method"


def test_variants_say_what_they_change(explained):
    factor = Factor("variant", ("baseline", "plain", "rare"))
    variants = {"plain": {"method.name": "uniform"}, "rare": {"method.update_every": 4}}
    found = explained(("l2rw",), (factor,), kind="ablation", variants=variants)
    assert found == {
        "baseline": arms.METHODS["l2rw"],
        "plain": arms.METHODS["uniform"],
        "rare": "as “baseline”, but with steps per weight update 4",
    }


def test_variants_of_a_method_say_in_what_they_differ(explained):
    names = ("baseline", "few", "many", "default")
    tuned = {"name": "finetune_meta", "finetune_epochs": 10}
    variants = {
        "few": {"method": tuned, "data.meta_per_class": 3},
        "many": {"method": tuned},
        "default": {"method.name": "finetune_meta", "data.meta_per_class": 3},
    }
    found = explained(("l2rw",), (Factor("variant", names),), kind="ablation", variants=variants)
    assert found["many"] == "as “few”, but with clean examples per class 2"
    assert found["default"] == "as “few”, but with method.finetune_epochs default"


def test_a_section_that_an_arm_replaces_leaves_nothing_of_the_study(explained, study_tree):
    study_tree["trial"]["method"] = {"name": "l2rw", "meta_batch_size": 9}
    variants = {
        "small": {"method.name": "meta_weight_net", "method.meta_batch_size": 7},
        "kept": {"method.name": "meta_weight_net"},
        "replaced": {"method": {"name": "meta_weight_net"}},
    }
    factor = Factor("variant", ("baseline", *variants))
    found = explained(("l2rw",), (factor,), kind="ablation", variants=variants)
    assert found["kept"] == "as “small”, but with meta examples per step 9"
    assert found["replaced"] == "as “small”, but with meta examples per step default"


def test_levels_of_a_factor_need_no_sentence(explained):
    factor = Factor("data.noise.rate", (0.2, 0.4))
    assert explained(("l2rw",), (factor,)) == {}
