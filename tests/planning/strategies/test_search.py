"""Searches, tuned comparisons and searches for enough, without a cluster: figures come from a formula."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from l2rw_ray.config import PlannedTrial, Stage, parse_study
from l2rw_ray.config.design.search import Budget, SearchOptions
from l2rw_ray.config.design.space import FloatParameter
from l2rw_ray.errors import ConfigError, StudyFolderError
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.planning.resumed_search import resume_search
from l2rw_ray.planning.strategies import search
from l2rw_ray.planning.strategies.build import build_strategies
from l2rw_ray.planning.strategies.optuna_study import OptunaStudy
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.trial_result import INTERRUPTED, TrialResult
from tests.planning.playing import METRIC, best_at_a_tenth, play, record

SEARCH = {
    "kind": "search",
    "space": {"optim.lr": {"kind": "float", "low": 0.001, "high": 1.0, "log": True}},
    "budget": {"trials": 8},
}


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    folder = StudyFolder(tmp_path / "study")
    folder.create()
    return folder


@pytest.fixture
def few_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A space is exhausted after 20 proposals in a row that are known."""
    monkeypatch.setattr(search, "_MAX_REPEATED_PROPOSALS", 20)


def values(trials: list[PlannedTrial], path: str = "optim.lr") -> list[Any]:
    return [trial.factors[path] for trial in trials]


def test_a_search_uses_its_budget_and_comes_near_the_best(study_tree: dict, folder: StudyFolder) -> None:
    spec = parse_study(study_tree | {"design": SEARCH | {"budget": {"trials": 25}}, "seeds": 1})
    ran = play(spec, folder)
    assert len(ran) == 25
    assert len({trial.trial_id for trial in ran}) == 25
    assert all(trial.stage is Stage.SEARCH for trial in ran)
    assert min(abs(math.log10(lr) + 1) for lr in values(ran)) < 0.1
    assert play(spec, folder) == []


@pytest.mark.parametrize("name", ["a b", "a%20b", "q?1", "h#1", "{x}"])
def test_the_record_of_a_search_lies_in_its_folder_whatever_the_name(tmp_path: Path, name: str) -> None:
    options = SearchOptions(sampler="random", budget=Budget(trials=1))
    space = {"optim.lr": FloatParameter(kind="float", low=0.1, high=1.0)}
    (tmp_path / name).mkdir()
    for _ in range(2):
        OptunaStudy(tmp_path / name / "optuna.db", "key", space, options, ["max"]).ask()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [path.name for path in (tmp_path / name).iterdir()] == ["optuna.db"]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_float_with_a_step_stays_on_its_grid(tmp_path: Path, sampler: str) -> None:
    options = SearchOptions(sampler=sampler, budget=Budget(trials=30))
    space = {"optim.momentum": FloatParameter(kind="float", low=0.1, high=0.9, step=0.2)}
    study = OptunaStudy(tmp_path / "optuna.db", "key", space, options, ["max"])
    assert {study.ask().values["optim.momentum"] for _ in range(30)} == {0.1, 0.3, 0.5, 0.7, 0.9}


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_a_search_cut_short_goes_on_with_what_was_under_way(
    study_tree: dict, folder: StudyFolder, groups: int
) -> None:
    spec = parse_study(study_tree | {"design": SEARCH, "seeds": 1})
    before = play(spec, folder, groups=groups, trials=4)
    asked = folder.read_plan()
    after = play(spec, folder, groups=groups)
    assert len(before) + len(after) == 8
    ran = [trial.trial_id for trial in [*before, *after]]
    assert len(set(ran)) == 8, "none twice"
    assert {row.trial_id for row in asked} <= set(ran), "none is forgotten"
    assert [row.trial_id for row in folder.read_plan()][: len(asked)] == [row.trial_id for row in asked]


def test_one_group_searches_the_same_way_every_time(study_tree: dict, tmp_path: Path) -> None:
    spec = parse_study(study_tree | {"design": SEARCH, "seeds": 1})
    runs = []
    for name in ("one", "other"):
        folder = StudyFolder(tmp_path / name)
        folder.create()
        runs.append(values(play(spec, folder)))
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 8


def test_a_larger_budget_goes_on_and_another_space_starts_anew(study_tree: dict, folder: StudyFolder) -> None:
    study_tree |= {"design": SEARCH, "seeds": 1}
    play(parse_study(study_tree), folder)
    study_tree["design"] = SEARCH | {"budget": {"trials": 10}, "sampler": "random"}
    larger = parse_study(study_tree)
    assert len(resume_search(larger, folder)) == 8
    assert len(play(larger, folder)) == 2
    lower = {"optim.lr": {"kind": "float", "low": 0.0001, "high": 1.0, "log": True}}
    study_tree["design"] = SEARCH | {"space": lower}
    other = parse_study(study_tree)
    assert resume_search(other, folder) == []
    assert len(play(other, folder)) == 8


def test_a_configuration_is_its_mean_over_seeds_and_paired(study_tree: dict, folder: StudyFolder) -> None:
    spec = parse_study(study_tree | {"design": SEARCH | {"budget": {"trials": 3}}, "seeds": [5, 7]})
    ran = play(spec, folder, lambda trial: {METRIC: 0.5 + trial.seed / 100})
    assert [trial.seed for trial in ran] == [5, 7] * 3
    (strategy,) = build_strategies(spec, (), folder)
    assert [found.objectives for found in strategy._optuna_study.proposals()] == [(pytest.approx(0.56),)] * 3


def test_a_failed_configuration_counts_and_can_be_retried(study_tree: dict, folder: StudyFolder) -> None:
    spec = parse_study(study_tree | {"design": SEARCH | {"budget": {"trials": 4}}, "seeds": [0, 1]})
    broken = play(spec, folder, lambda trial: "failed")
    assert len(broken) == 4, "the second seed of what has failed adds nothing"
    assert play(spec, folder) == []
    retried = play(spec, folder, retry_failed=True)
    assert {trial.trial_id for trial in broken} <= {trial.trial_id for trial in retried}
    assert len(retried) == 8
    assert play(spec, folder, retry_failed=True) == []
    assert len(folder.read_plan()) == 8


def test_a_failed_configuration_is_retried_though_the_hours_are_spent(
    study_tree: dict, folder: StudyFolder
) -> None:
    hours = {"budget": {"hours": 5 / 3600}}
    spec = parse_study(study_tree | {"design": SEARCH | hours, "seeds": 1})
    outcomes = iter(["failed", *[{METRIC: 0.5}] * 4])
    first = play(spec, folder, lambda trial: next(outcomes))
    assert [trial.trial_id for trial in play(spec, folder, retry_failed=True)] == [first[0].trial_id]
    assert {row.trial_id for row in folder.read_plan()} == {trial.trial_id for trial in first}


def test_what_a_killed_run_left_waiting_does_not_take_the_place_of_a_retry(
    study_tree: dict, folder: StudyFolder
) -> None:
    spec = parse_study(study_tree | {"design": SEARCH | {"budget": {"trials": 2}}, "seeds": 1})
    first, second = play(spec, folder, lambda trial: "failed")
    (strategy,) = build_strategies(spec, (), folder)
    strategy._optuna_study._study.enqueue_trial({"optim.lr": second.factors["optim.lr"]})
    retried = play(spec, folder, retry_failed=True)
    assert {trial.trial_id for trial in retried} == {first.trial_id, second.trial_id}
    (strategy,) = build_strategies(spec, (), folder)
    told = {
        found.values["optim.lr"]: found.objectives
        for found in strategy._optuna_study.proposals()
        if found.objectives
    }
    assert told == {lr: (pytest.approx(1 - abs(math.log10(lr) + 1) / 10),) for lr in values([first, second])}


@pytest.mark.usefixtures("few_repeats")
def test_a_space_that_is_exhausted_stays_so_until_another_sampler_asks(
    study_tree: dict, folder: StudyFolder
) -> None:
    few = {"optim.lr": {"kind": "categorical", "choices": [0.01, 0.1]}}
    study_tree |= {"design": SEARCH | {"space": few}, "seeds": 1}
    assert len(play(parse_study(study_tree), folder)) == 2
    (strategy,) = build_strategies(parse_study(study_tree), (), folder)
    assert strategy.is_done
    study_tree["design"]["sampler"] = "random"
    (strategy,) = build_strategies(parse_study(study_tree), (), folder)
    assert not strategy.is_done


def test_a_search_whose_record_is_ahead_of_the_ledger_trains_what_the_ledger_lacks(
    study_tree: dict, folder: StudyFolder
) -> None:
    design = SEARCH | {"budget": {"trials": 3}, "stopping": {"name": "asha"}}
    spec = parse_study(study_tree | {"design": design, "seeds": 1})
    first, *_ = play(spec, folder)
    folder.trial_file(first.trial_id).unlink()
    (strategy,) = build_strategies(spec, (), folder)
    trial = strategy.ask()
    assert trial.trial_id == first.trial_id
    strategy.report(trial.trial_id, 1, {METRIC: 0.5})
    strategy.tell(trial.trial_id, TrialResult("completed", None, 1.0, best_at_a_tenth(trial)))
    assert strategy.is_done


@pytest.mark.usefixtures("few_repeats")
def test_repeats_are_told_what_came_of_the_first_also_after_a_break(
    study_tree: dict, folder: StudyFolder
) -> None:
    two = {"method.name": {"kind": "categorical", "choices": ["uniform", "l2rw"]}}
    spec = parse_study(study_tree | {"design": SEARCH | {"space": two}, "seeds": 1})
    (strategy,) = build_strategies(spec, (), folder)
    assert [strategy.ask() is None for _ in range(3)] == [False, False, True], "and no third is waited for"
    states = [found.state for found in strategy._optuna_study.proposals()]
    assert len(states) > 2
    assert set(states) == {"open"}
    play(spec, folder, lambda trial: {METRIC: 0.5})
    (again,) = build_strategies(spec, (), folder)
    assert {found.state for found in again._optuna_study.proposals()} == {"complete"}


def test_a_stopped_configuration_is_told_as_pruned(study_tree: dict, folder: StudyFolder) -> None:
    design = SEARCH | {"budget": {"trials": 3}, "stopping": {"name": "asha"}}
    spec = parse_study(study_tree | {"design": design, "seeds": 1})
    play(spec, folder, lambda trial: "stopped")
    (strategy,) = build_strategies(spec, (), folder)
    assert [found.state for found in strategy._optuna_study.proposals()] == ["pruned"] * 3
    assert strategy.is_done


def test_interrupted_trials_are_run_again(study_tree: dict, folder: StudyFolder) -> None:
    spec = parse_study(study_tree | {"design": SEARCH | {"budget": {"trials": 2}}, "seeds": 1})
    (strategy,) = build_strategies(spec, (), folder)
    trial = strategy.ask()
    record(folder, trial, status="stopped", reason=INTERRUPTED)
    strategy.tell(trial.trial_id, TrialResult("stopped", INTERRUPTED))
    assert play(spec, folder)[0].trial_id == trial.trial_id


def test_hours_end_a_search(study_tree: dict, folder: StudyFolder) -> None:
    spec = parse_study(study_tree | {"design": SEARCH | {"budget": {"hours": 0.05}}, "seeds": 1})
    assert len(play(spec, folder)) == 5, "36 s each"
    assert play(spec, folder) == []


def test_a_space_that_is_used_up_ends_the_search(study_tree: dict, folder: StudyFolder) -> None:
    few = {"method.name": {"kind": "categorical", "choices": ["uniform", "l2rw", "random"]}}
    spec = parse_study(study_tree | {"design": SEARCH | {"space": few}, "seeds": 1})
    ran = play(spec, folder, lambda trial: {METRIC: 0.5})
    assert sorted(values(ran, "method.name")) == ["l2rw", "random", "uniform"]


def test_conditional_parameters_are_searched_where_they_have_a_meaning(
    study_tree: dict, folder: StudyFolder
) -> None:
    design = SEARCH | {
        "space": {
            "method.update_every": {"kind": "int", "low": 1, "high": 8},
            "method.name": {"kind": "categorical", "choices": ["uniform", "l2rw"]},
            **SEARCH["space"],
        },
        "when": {"method.update_every": {"method.name": "l2rw"}},
        "budget": {"trials": 12},
    }
    spec = parse_study(study_tree | {"design": design, "seeds": 1})
    ran = play(spec, folder)
    assert len({trial.config.method.name for trial in ran}) == 2
    for trial in ran:
        assert ("method.update_every" in trial.factors) == (trial.config.method.name == "l2rw")


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random", "qmc", "nsga2", "cmaes"])
def test_every_sampler_searches_and_goes_on(study_tree: dict, folder: StudyFolder, sampler: str) -> None:
    space = SEARCH["space"] | {"optim.momentum": {"kind": "float", "low": 0.0, "high": 0.9}}
    design = SEARCH | {"space": space, "sampler": sampler, "budget": {"trials": 14}}
    spec = parse_study(study_tree | {"design": design, "seeds": 1})
    ran = play(spec, folder, groups=2, trials=12) + play(spec, folder, groups=2)
    assert len({trial.trial_id for trial in ran}) == 14


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random", "qmc", "nsga2"])
def test_several_objectives_are_told(study_tree: dict, folder: StudyFolder, sampler: str) -> None:
    further = [{"metric": "overhead_ratio", "mode": "min"}, {"metric": "duration_s", "mode": "min"}]
    design = SEARCH | {"sampler": sampler, "further_objectives": further, "budget": {"trials": 12}}
    spec = parse_study(study_tree | {"design": design, "seeds": 1})
    play(spec, folder)
    (strategy,) = build_strategies(spec, (), folder)
    assert all(found.objectives[1:] == (1.0, 36.0) for found in strategy._optuna_study.proposals()), (
        "no weights, no overhead"
    )


def test_levels_that_make_no_trial_are_named(study_tree: dict, folder: StudyFolder) -> None:
    workers = {"workers": 4}
    small = {"optim.batch_size": {"kind": "int", "low": 2, "high": 64}}
    spec = parse_study(study_tree | {"design": SEARCH | {"space": small}, "resources": workers, "seeds": 1})
    with pytest.raises(ConfigError, match=r"optim\.batch_size = 2.*use at least 4"):
        plan_study(spec)


def test_a_broken_record_of_a_search_is_named(study_tree: dict, folder: StudyFolder) -> None:
    spec = parse_study(study_tree | {"design": SEARCH, "seeds": 1})
    folder.searches.write_text("no database")
    with pytest.raises(StudyFolderError, match=r"optim|optuna\.db"):
        build_strategies(spec, (), folder)


TUNED = {
    "kind": "tuned_comparison",
    "arms": {
        "uniform": {"set": {"method.name": "uniform"}},
        "l2rw": {
            "set": {"method.name": "l2rw"},
            "space": {"method.update_every": {"kind": "int", "low": 1, "high": 4}},
        },
    },
    "space": SEARCH["space"],
    "search_seeds": [100, 101],
    "budget": {"trials": 6},
}


@pytest.mark.parametrize("cut", [0, 3, 13, 25, 27, 1000])
def test_each_arm_is_tuned_alike_and_its_best_runs_on_fresh_seeds(
    study_tree: dict, folder: StudyFolder, cut: int
) -> None:
    spec = parse_study(study_tree | {"design": TUNED, "seeds": 3})
    ran = [*play(spec, folder, groups=2, trials=cut), *play(spec, folder, groups=2)]
    assert len({trial.trial_id for trial in ran}) == len(ran) == 2 * 6 * 2 + 2 * 3
    for arm in ("uniform", "l2rw"):
        own = [trial for trial in ran if trial.factors["variant"] == arm]
        assert {trial.config.method.name for trial in own} == {arm}
        searched = [trial for trial in own if trial.stage is Stage.SEARCH]
        finals = [trial for trial in own if trial.stage is Stage.FINAL]
        assert {trial.seed for trial in searched} == {100, 101}
        assert [trial.seed for trial in finals] == [0, 1, 2]
        best = max(searched, key=lambda trial: best_at_a_tenth(trial)[METRIC])
        assert all(trial.config == best.config for trial in finals)
        assert all(trial.factors == {"variant": arm} for trial in finals)
    known = resume_search(spec, folder)
    assert {trial.trial_id for trial in known} == {trial.trial_id for trial in ran}


def test_every_seed_may_have_a_search_of_its_own(study_tree: dict, folder: StudyFolder) -> None:
    spec = parse_study(study_tree | {"design": TUNED | {"searches": 3}, "seeds": 3})
    ran = play(spec, folder, groups=2)
    assert len(ran) == 2 * 3 * (6 * 2 + 1)
    for arm in ("uniform", "l2rw"):
        own = [trial for trial in ran if trial.factors["variant"] == arm]
        finals = [trial for trial in own if trial.stage is Stage.FINAL]
        assert sorted(trial.seed for trial in finals) == [0, 1, 2]
        for final in finals:
            searched = [trial for trial in own if trial.search == final.search and trial is not final]
            assert {trial.seed for trial in searched} == {100 + 1000 * final.seed, 101 + 1000 * final.seed}
            best = max(searched, key=lambda trial: best_at_a_tenth(trial)[METRIC])
            assert final.config == best.config
    known = resume_search(spec, folder)
    assert {trial.trial_id for trial in known} == {trial.trial_id for trial in ran}
    with pytest.raises(ConfigError, match=r"design\.searches = 2.*use 1 or 3"):
        parse_study(study_tree | {"design": TUNED | {"searches": 2}, "seeds": 3})


def test_a_budget_per_parameter_gives_larger_spaces_more(study_tree: dict, folder: StudyFolder) -> None:
    design = TUNED | {"budget": {"trials_per_parameter": 2}, "search_seeds": [100]}
    spec = parse_study(study_tree | {"design": design, "seeds": 3})
    ran = play(spec, folder)
    searched = [trial.factors["variant"] for trial in ran if trial.stage is Stage.SEARCH]
    sizes = {arm: len(spec.design.space_of(arm)) for arm in spec.design.arms}
    assert sizes["l2rw"] == sizes["uniform"] + 1
    assert {arm: searched.count(arm) for arm in sizes} == {arm: 2 * size for arm, size in sizes.items()}
    assert len(ran) == spec.design.max_trials(3)
    assert not spec.design.unequal_spaces


def test_arms_are_tuned_at_each_level_and_one_more_costs_its_own_trials(
    study_tree: dict, folder: StudyFolder
) -> None:
    l2rw = {"set": {"method.name": "l2rw"}, "factors": {"method.update_every": [1, 4]}}
    design = TUNED | {"arms": {"uniform": TUNED["arms"]["uniform"], "l2rw": l2rw}, "search_seeds": [100]}
    factors = {"factors": {"data.noise.rate": [0.2, 0.4]}}
    spec = parse_study(study_tree | {"design": design | factors, "seeds": 3})
    ran = play(spec, folder, groups=2)
    assert len(ran) == (2 + 2 * 2) * (6 + 3)
    finals = [trial for trial in ran if trial.stage is Stage.FINAL]
    points = {tuple(trial.factors.items()) for trial in finals}
    assert (("variant", "uniform"), ("data.noise.rate", 0.2)) in points
    assert (("variant", "l2rw"), ("data.noise.rate", 0.4), ("method.update_every", 4)) in points
    assert len(points) == 6
    known = resume_search(spec, folder)
    assert {trial.trial_id for trial in known} == {trial.trial_id for trial in ran}
    rows = json.loads(folder.plan_file.read_text())
    before = [{key: value for key, value in row.items() if key not in ("search", "config")} for row in rows]
    folder.plan_file.write_text(json.dumps(before))
    assert resume_search(spec, folder) == known, "a plan of release 0.1 names no searches"
    folder.plan_file.write_text(json.dumps(rows))

    factors = {"factors": {"data.noise.rate": [0.2, 0.3, 0.4]}}
    larger = parse_study(study_tree | {"design": design | factors, "seeds": 3})
    assert {trial.trial_id for trial in resume_search(larger, folder)} == {trial.trial_id for trial in ran}
    fewer = parse_study(study_tree | {"design": TUNED | {"search_seeds": [100]} | factors, "seeds": 3})
    assert {trial.config.method.name for trial in resume_search(fewer, folder)} == {"uniform"}
    more = play(larger, folder, groups=2)
    assert {trial.factors["data.noise.rate"] for trial in more} == {0.3}


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_arms_that_coincide_share_their_trials(study_tree: dict, folder: StudyFolder, groups: int) -> None:
    arms = {"l2rw": {"set": {"method.name": "l2rw"}}, "the same": {"set": {"method": {"name": "l2rw"}}}}
    spec = parse_study(study_tree | {"design": TUNED | {"arms": arms}, "seeds": 3})
    ran = play(spec, folder, groups=groups)
    ids = [trial.trial_id for trial in ran]
    assert len(set(ids)) == len(ids), "none twice"
    finals = [row for row in folder.read_plan() if row.stage is Stage.FINAL]
    assert [row.factors["variant"] for row in finals] == ["l2rw"] * 3 + ["the same"] * 3


def test_an_arm_without_a_completed_configuration_has_no_final_trials(
    study_tree: dict, folder: StudyFolder
) -> None:
    spec = parse_study(study_tree | {"design": TUNED, "seeds": 3})
    ran = play(
        spec, folder, lambda trial: "failed" if trial.config.method.name == "l2rw" else best_at_a_tenth(trial)
    )
    finals = [trial for trial in ran if trial.stage is Stage.FINAL]
    assert [trial.config.method.name for trial in finals] == ["uniform"] * 3


IMPORTS_WHEN_ASKED = """
import sys
from pathlib import Path
from l2rw_ray.config.design.search import Budget, SearchOptions
from l2rw_ray.config.design.space import FloatParameter
from l2rw_ray.planning.strategies.optuna_study import OptunaStudy

options = SearchOptions(sampler=sys.argv[2], budget=Budget(trials=12))
space = {name: FloatParameter(kind="float", low=0.0, high=1.0) for name in "ab"}
study = OptunaStudy(Path(sys.argv[1]), "key", space, options, ["max"])
before = set(sys.modules)
for _ in range(12):
    asked = study.ask()
    study.tell(asked.number, [asked.values["a"]])
late = [name for name in ("torch.nn", "scipy.stats", "scipy.optimize") if name in set(sys.modules) - before]
print(late)
"""


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "gp", "cmaes", "nsga2"])
def test_large_packages_are_imported_before_a_search_is_asked(sampler: str, tmp_path: Path) -> None:
    """Another thread of the run may import the same ones for the first time, and see half of them."""
    command = [sys.executable, "-W", "ignore", "-c", IMPORTS_WHEN_ASKED, tmp_path / "optuna.db", sampler]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
