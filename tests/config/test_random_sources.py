"""Seeds at which sources of randomness are drawn anew: what a study may say, and what stays as it was."""

import pytest

from l2rw_ray.config import Resources, Stage, parse_study, trial_fingerprint
from l2rw_ray.config.training.random_sources import seed_of
from l2rw_ray.errors import ConfigError
from l2rw_ray.planning.plan import plan_study


@pytest.fixture
def tree(study_tree):
    return {**study_tree, "seeds": {"count": 3, "redraw": ["init", "order"]}}


def test_each_trial_runs_again_for_each_source(tree):
    trials = plan_study(parse_study(tree))
    finals = [trial for trial in trials if trial.stage is Stage.FINAL]
    redrawn = [trial for trial in trials if trial.stage is Stage.REDRAWN]
    assert len(redrawn) == 2 * len(finals)
    assert trials[: len(finals)] == plan_study(parse_study({**tree, "seeds": 3}))
    assert {trial.redrawn for trial in redrawn} == {"init", "order"}
    assert len({trial.trial_id for trial in trials}) == len(trials)
    assert redrawn[0].label.endswith("seed 0 · other init")


def test_only_the_draws_of_the_source_change(tree):
    trial = next(each for each in plan_study(parse_study(tree)) if each.redrawn == "init")
    assert trial.seed_of("init") != trial.seed == trial.seed_of("split") == trial.seed_of("order")
    assert seed_of(7, "split", None) == 7


def test_a_trial_that_draws_nothing_anew_keeps_its_name(study_tree):
    config = parse_study(study_tree).trial
    named = config.model_copy(update={"redraw": None})
    assert "redraw" not in str(config.identity())
    assert trial_fingerprint(config, 0, Resources()) == trial_fingerprint(named, 0, Resources())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": {"count": 1, "redraw": ["init"]}}, "seeds.count"),
        ({"seeds": {"count": 3, "redraw": ["luck"]}}, "seeds.redraw"),
        ({"seeds": {"count": 3, "redraw": []}}, "seeds.redraw"),
        ({"seeds": {"count": 3, "redraw": ["init"], "start": 3}}, "seeds.start"),
        ({"seeds": {"count": 3}}, "seeds.count"),
    ],
)
def test_what_is_no_such_seeds_is_refused(study_tree, changes, message):
    with pytest.raises(ConfigError, match=message):
        parse_study({**study_tree, **changes})


def test_a_search_draws_nothing_anew(study_tree):
    design = {"kind": "search", "space": {"optim.lr": {"kind": "float", "low": 0.01, "high": 0.1}},
              "budget": {"trials": 2}}  # fmt: skip
    with pytest.raises(ConfigError, match="draws nothing anew"):
        parse_study({**study_tree, "design": design, "seeds": {"count": 2, "redraw": ["init"]}})


def test_a_study_and_its_trial_do_not_both_draw_anew(tree):
    trial = {**tree["trial"], "redraw": "split"}
    with pytest.raises(ConfigError, match="leave it out"):
        parse_study({**tree, "trial": trial})


TUNED = {
    "kind": "tuned_comparison",
    "arms": {"a": {}, "b": {"set": {"method.name": "uniform"}}},
    "space": {"optim.lr": {"kind": "float", "low": 0.01, "high": 0.1}},
    "budget": {"trials": 2},
    "searches": 3,
}


@pytest.mark.parametrize(
    ("design", "redraw", "message"),
    [
        (TUNED, ["init"], r"redraw: \[seed\]"),
        (TUNED | {"searches": 1}, ["seed"], r"design\.searches = 1.*use 3"),
        (TUNED | {"search_seeds": [500_001]}, ["seed"], r"search_seeds = 500001.*use others"),
        (None, ["seed"], "another seed is another replicate"),
    ],
)
def test_whole_seeds_are_drawn_anew_where_each_has_a_search(study_tree, design, redraw, message):
    tree = {**study_tree, "seeds": {"count": 3, "redraw": redraw}}
    with pytest.raises(ConfigError, match=message):
        parse_study(tree if design is None else {**tree, "design": design})
