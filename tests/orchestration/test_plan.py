"""The explicit list of trials: enumeration, pairing, identity."""

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2rw_ray.config import parse_study
from l2rw_ray.errors import ConfigError
from l2rw_ray.orchestration.plan import plan_study


def test_grid_is_every_combination_at_every_seed_in_order(study_tree: dict) -> None:
    study_tree["design"]["factors"] = {
        "data.noise.rate": [0.1, 0.4],
        "method.name": ["uniform", "random", "l2rw"],
    }
    trials = plan_study(parse_study(study_tree))
    rows = [(trial.factors["data.noise.rate"], trial.config.method.name, trial.seed) for trial in trials]
    assert rows == [
        (rate, arm, seed) for rate in (0.1, 0.4) for arm in ("uniform", "random", "l2rw") for seed in (0, 1)
    ]
    assert all(trial.config.data.noise.rate == trial.factors["data.noise.rate"] for trial in trials)


def test_variant_is_chosen_before_its_fields_whatever_the_order(study_tree: dict) -> None:
    study_tree["trial"]["method"] = {"name": "uniform"}
    study_tree["design"]["factors"] = {"method.update_every": [1, 2], "method.name": ["l2rw"]}
    trials = plan_study(parse_study(study_tree))
    assert [trial.config.method.update_every for trial in trials] == [1, 1, 2, 2]


def test_field_that_only_one_arm_has_is_refused_for_the_other(study_tree: dict) -> None:
    study_tree["design"]["factors"] = {"method.name": ["uniform", "l2rw"], "method.update_every": [1, 2]}
    with pytest.raises(ConfigError, match=r"trial\.method.update_every = 1: no such field"):
        plan_study(parse_study(study_tree))


def test_conflict_of_levels_names_the_design_point(study_tree: dict) -> None:
    study_tree["design"]["factors"] = {"optim.lr": [0.1, -1]}
    with pytest.raises(ConfigError, match=r"trial.optim.lr = -1: .*design point optim.lr = -1"):
        plan_study(parse_study(study_tree))


@given(
    rates=st.lists(st.floats(0, 0.9), min_size=1, max_size=4, unique=True),
    arms=st.lists(st.sampled_from(["uniform", "random", "l2rw"]), min_size=1, unique=True),
    seeds=st.lists(st.integers(0, 1000), min_size=1, max_size=3, unique=True),
)
def test_no_trial_is_missing_or_twice(rates: list[float], arms: list[str], seeds: list[int]) -> None:
    tree = {
        "name": "grid",
        "question": "All there?",
        "trial": {
            "data": {"source": "digits", "noise": {"kind": "uniform", "rate": 0.0}},
            "model": {"name": "mlp"},
            "method": {"name": "l2rw"},
            "optim": {"name": "sgd", "lr": 0.1},
        },
        "design": {"kind": "grid", "factors": {"data.noise.rate": rates, "method.name": arms}},
        "seeds": seeds,
    }
    trials = plan_study(parse_study(tree))
    assert len({trial.trial_id for trial in trials}) == prod(map(len, (rates, arms, seeds)))
    again = plan_study(parse_study(tree | {"name": "other"}))
    assert [trial.trial_id for trial in again] == [trial.trial_id for trial in trials]
