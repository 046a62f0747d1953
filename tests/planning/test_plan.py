"""The explicit list of trials: enumeration, pairing, identity."""

from itertools import product
from math import prod
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2rw_ray.config import GridDesign, PlannedTrial, parse_study
from l2rw_ray.errors import ConfigError
from l2rw_ray.planning.plan import by_resources, grid_points, plan_study
from l2rw_ray.planning.plan_text import describe_design


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


def test_a_grid_of_whole_methods_has_their_names_and_what_differs_as_levels(study_tree: dict) -> None:
    study_tree["trial"]["method"] = {"name": "random"}
    study_tree["design"]["factors"] = {
        "method": [{"name": "uniform"}, {"name": "mixup"}, {"name": "mixup", "alpha": 3.0}],
        "optim.lr": [0.1],
    }
    first, plain, strong = plan_study(parse_study(study_tree | {"seeds": 1}))
    assert first.factors == {"method.name": "uniform", "optim.lr": 0.1}
    assert plain.factors == {"method.name": "mixup", "method.alpha": 1.0, "optim.lr": 0.1}
    assert strong.factors == {"method.name": "mixup", "method.alpha": 3.0, "optim.lr": 0.1}
    assert strong.label == "mixup · alpha 3 · lr 0.1 · seed 0"
    schedules = [{"name": "constant"}, {"name": "step", "every": 1, "factor": 0.5}]
    study_tree["design"]["factors"] = {"optim.schedule": schedules}
    spec = parse_study(study_tree)
    *_, last = planned = plan_study(spec)
    assert "schedule step (every 1, factor 0.5)" in last.label
    assert describe_design(spec, planned)[0] == "  optim.schedule: constant, step (every 1, factor 0.5)"
    study_tree["design"]["factors"] = {"method": [{"name": "uniform"}, "mixup"]}
    with pytest.raises(ConfigError, match=r"trial\.method = 'mixup'.*design point method = mixup"):
        plan_study(parse_study(study_tree))


def test_field_that_only_one_arm_has_is_refused_for_the_other(study_tree: dict) -> None:
    study_tree["design"]["factors"] = {"method.name": ["uniform", "l2rw"], "method.update_every": [1, 2]}
    with pytest.raises(ConfigError, match=r"trial\.method.update_every = 1: no such field"):
        plan_study(parse_study(study_tree))


def test_conflict_of_levels_names_the_design_point(study_tree: dict) -> None:
    study_tree["design"]["factors"] = {"optim.lr": [0.1, -1]}
    with pytest.raises(ConfigError, match=r"trial.optim.lr = -1: .*design point optim.lr = -1"):
        plan_study(parse_study(study_tree))


def test_stages_that_take_all_epochs_are_refused_where_a_factor_sets_them(study_tree: dict) -> None:
    study_tree["design"]["factors"] = {"method.name": ["jtt", "uniform"], "optim.epochs": [3, 2]}
    wanted = r"trial.method.first_epochs = 2: optim.epochs counts all .* is 2 \(design point .*use at most 1"
    with pytest.raises(ConfigError, match=wanted):
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


def _points(tree: dict) -> list[dict]:
    return [dict(trial.factors) for trial in plan_study(parse_study(tree | {"seeds": 1}))]


_RATES, _ARMS = st.sampled_from([0.0, 0.1, 0.2, 0.3]), st.sampled_from(["uniform", "random", "l2rw"])


@given(
    rates=st.lists(_RATES, min_size=1, unique=True),
    more_rates=st.lists(_RATES, unique=True),
    arms=st.lists(_ARMS, min_size=1, unique=True),
    more_arms=st.lists(_ARMS, unique=True),
    seeds=st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
    more_seeds=st.lists(st.integers(0, 9), max_size=3, unique=True),
    order=st.randoms(use_true_random=False),
)
def test_a_larger_study_adds_only_its_own_trials_whatever_it_is_called(
    rates: list, more_rates: list, arms: list, more_arms: list, seeds: list, more_seeds: list, order: Random
) -> None:
    def study(name: str, rates: list, arms: list, seeds: list) -> dict[str, PlannedTrial]:
        sections = {
            "name": name,
            "question": f"What of {name}?",
            "trial": _shuffled(
                {
                    "data": _shuffled({"source": "digits", "noise": {"kind": "uniform", "rate": 0}}, order),
                    "model": {"name": "mlp"},
                    "method": {"name": "l2rw"},
                    "optim": _shuffled({"name": "sgd", "lr": 0.1, "epochs": 2}, order),
                },
                order,
            ),
            "design": {
                "kind": "grid",
                "factors": _shuffled({"data.noise.rate": rates, "method.name": arms}, order),
            },
            "seeds": seeds,
        }
        return {trial.trial_id: trial for trial in plan_study(parse_study(_shuffled(sections, order)))}

    small = study("small", rates, arms, seeds)
    all_rates, all_arms, all_seeds = {*rates, *more_rates}, {*arms, *more_arms}, {*seeds, *more_seeds}
    large = study("large", sorted(all_rates), sorted(all_arms), sorted(all_seeds))
    assert small.keys() <= large.keys()
    assert len(large) == len(all_rates) * len(all_arms) * len(all_seeds)
    for trial_id, trial in large.items():
        is_old = (
            trial.factors["data.noise.rate"] in rates
            and trial.config.method.name in arms
            and trial.seed in seeds
        )
        assert (trial_id in small) == is_old


def _shuffled(section: dict, order: Random) -> dict:
    keys = list(section)
    order.shuffle(keys)
    return {key: section[key] for key in keys}


def test_a_factor_is_varied_only_where_its_condition_holds(study_tree: dict) -> None:
    study_tree["design"] = {
        "kind": "grid",
        "factors": {
            "method.name": ["uniform", "l2rw"],
            "method.update_every": [1, 4],
            "method.between": ["hold", "uniform"],
        },
        "when": {
            "method.update_every": {"method.name": "l2rw"},
            "method.between": {"method.update_every": [4]},
        },
    }
    every, between = "method.update_every", "method.between"
    assert _points(study_tree) == [
        {"method.name": "uniform"},
        {"method.name": "l2rw", every: 1},
        {"method.name": "l2rw", every: 4, between: "hold"},
        {"method.name": "l2rw", every: 4, between: "uniform"},
    ]


def test_combinations_can_be_skipped(study_tree: dict) -> None:
    study_tree["design"] = {
        "kind": "grid",
        "factors": {"data.noise.rate": [0.1, 0.4], "method.name": ["uniform", "random", "l2rw"]},
        "skip": [{"data.noise.rate": 0.1, "method.name": ["random", "l2rw"]}],
    }
    found = [(point["data.noise.rate"], point["method.name"]) for point in _points(study_tree)]
    assert found == [(0.1, "uniform"), (0.4, "uniform"), (0.4, "random"), (0.4, "l2rw")]


def test_an_ablation_is_the_baseline_and_each_change_and_some_together(study_tree: dict) -> None:
    study_tree["design"] = {
        "kind": "ablation",
        "baseline": "full",
        "variants": {
            "no rectification": {"method.clip": "abs"},
            "through the optimizer": {"method.lookahead": "optimizer"},
            "random": {"method.name": "random"},
        },
        "pairs": [["no rectification", "through the optimizer"]],
        "factors": {"data.noise.rate": [0.1, 0.4]},
    }
    trials = plan_study(parse_study(study_tree | {"seeds": 1}))
    assert [trial.factors["variant"] for trial in trials[:5]] == [
        "full",
        "no rectification",
        "through the optimizer",
        "random",
        "no rectification + through the optimizer",
    ]
    both = trials[4].config.method
    assert (both.clip, both.lookahead) == ("abs", "optimizer")
    assert (trials[0].config.method.clip, trials[0].config.method.lookahead) == ("relu", "zero")
    assert trials[3].config.method.name == "random"
    assert [trial.config.data.noise.rate for trial in trials] == [0.1] * 5 + [0.4] * 5
    assert trials[5].factors == {"variant": "full", "data.noise.rate": 0.4}


def test_a_variant_that_changes_nothing_is_refused(study_tree: dict) -> None:
    study_tree["design"] = {"kind": "ablation", "variants": {"same": {"method.clip": "relu"}}}
    with pytest.raises(ConfigError, match="variant = same': the same trial as variant = baseline"):
        plan_study(parse_study(study_tree))


@pytest.mark.parametrize("change", [{}, {"method.name": "l2rw"}])
def test_arms_that_are_alike_are_refused_here_so_that_older_folders_stay_readable(
    study_tree: dict, change: dict
) -> None:
    study_tree["trial"]["method"] = {"name": "l2rw"}
    study_tree["design"] = {
        "kind": "tuned_comparison",
        "arms": {"a": {}, "b": {"set": change}},
        "space": {"optim.lr": {"kind": "float", "low": 0.01, "high": 0.1, "log": True}},
        "budget": {"trials": 2},
    }
    spec = parse_study(study_tree)
    with pytest.raises(ConfigError, match=r"design\.arms\.b .*the same as arm 'a'"):
        plan_study(spec)


def test_skipping_everything_is_refused(study_tree: dict) -> None:
    study_tree["design"] = {
        "kind": "grid",
        "factors": {"method.name": ["uniform"]},
        "skip": [{"method.name": "uniform"}],
    }
    with pytest.raises(ConfigError, match="nothing is left to run"):
        plan_study(parse_study(study_tree))


_LEVELS = {"a": [0.1, 0.2, 0.3], "b": ["uniform", "random", "l2rw"], "c": [1, 2]}


@given(
    when=st.dictionaries(
        st.sampled_from(["b", "c"]), st.dictionaries(st.just("a"), st.sampled_from(_LEVELS["a"]), min_size=1)
    ),
    skip=st.lists(st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 2), min_size=1), max_size=3),
)
def test_conditions_leave_out_exactly_what_they_name(when: dict, skip: list[dict]) -> None:
    skip = [{path: _LEVELS[path][place] for path, place in where.items()} for where in skip]
    grid = GridDesign(kind="grid", factors=_LEVELS, when=when, skip=tuple(skip))
    expected = []
    for a, b, c in product(*_LEVELS.values()):
        point = {"a": a, "b": b, "c": c}
        for path, where in when.items():
            if a != where["a"]:
                del point[path]
        skipped = any(all(path in point and point[path] == level for path, level in w.items()) for w in skip)
        if not skipped and point not in expected:
            expected.append(point)
    if not expected:
        with pytest.raises(ConfigError):
            grid_points(grid)
        return
    assert grid_points(grid) == expected


def test_resources_may_be_factors(study_tree: dict) -> None:
    study_tree["design"]["factors"] = {"resources.workers": [1, 2], "optim.batch_size": [20, 40]}
    trials = plan_study(parse_study(study_tree))
    assert [(trial.resources.workers, trial.config.optim.batch_size) for trial in trials[::2]] == [
        (1, 20),
        (1, 40),
        (2, 20),
        (2, 40),
    ]
    assert len({trial.trial_id for trial in trials}) == 8
    groups = by_resources(reversed(trials))
    assert [resources.workers for resources in groups] == [2, 1]
    assert [len(group) for group in groups.values()] == [4, 4]


@pytest.mark.parametrize(
    ("levels", "line"),
    [
        ([0], r"resources.workers = 0: .* \(design point resources.workers = 0\); use 1 or more"),
        ([21], r"trial.optim.batch_size = 20: smaller than resources.workers = 21 .*; use at least 21"),
    ],
)
def test_resources_that_cannot_be_are_refused(study_tree: dict, levels: list[int], line: str) -> None:
    study_tree["design"]["factors"] = {"resources.workers": levels}
    with pytest.raises(ConfigError, match=line):
        plan_study(parse_study(study_tree))
