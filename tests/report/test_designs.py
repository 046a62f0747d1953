"""Reports of designs that decide as they go: searches, tuned comparisons, and how little is enough."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from l2rw_ray.config import PlannedTrial, parse_study
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.planning.placement import this_machine
from l2rw_ray.planning.plan_summary import summarise_plan
from l2rw_ray.planning.plan_text import describe_design, plan_text
from l2rw_ray.report import summarise, write_report
from l2rw_ray.report.search.budgets import budget_table
from l2rw_ray.report.search.summary import Configuration, Goal, pareto_front, summarise_search
from l2rw_ray.results import StudyFolder, read_study
from l2rw_ray.results.study_progress import read_progress
from tests.planning.playing import METRIC, best_at_a_tenth, play

LEARNING_RATE = {"kind": "float", "low": 0.001, "high": 1.0, "log": True}


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    folder = StudyFolder(tmp_path / "study")
    folder.create()
    return folder


def test_a_search_reports_its_best_and_the_pareto_front(study_tree: dict, folder: StudyFolder) -> None:
    design = {
        "kind": "search",
        "space": {"optim.lr": LEARNING_RATE, "optim.epochs": {"kind": "int", "low": 1, "high": 9}},
        "further_objectives": [{"metric": "peak_memory_bytes", "mode": "min"}],
        "budget": {"trials": 12},
    }

    def metrics(trial: PlannedTrial) -> dict[str, float] | str:
        if trial.config.optim.epochs == 9:
            return "failed"
        memory = 1e6 * trial.config.optim.epochs
        accuracy = best_at_a_tenth(trial)[METRIC] - 0.1 / trial.config.optim.epochs
        return {METRIC: accuracy, "peak_memory_bytes": memory, "test_balanced_accuracy": 0.5}

    play(parse_study(study_tree | {"design": design, "seeds": 2}), folder, metrics)
    summary = summarise_search(folder.path)
    best = max(summary.measured, key=lambda each: each.goal_values[0])
    assert summary.front[0] == summary.ranked[0] == best
    assert summary.finding.startswith("best of 12 configurations: validation balanced accuracy")
    assert "(test 50.0 %)" in summary.finding
    memory = [each.goal_values[1] for each in summary.front]
    assert memory == sorted(memory, reverse=True), "less accuracy is only worth it for less memory"
    paths = write_report(folder.path)
    page, text = paths.html.read_text(), paths.markdown.read_text()
    for title in ("Pareto front", "The best", "configurations"):
        assert title in page
        assert title in text
    assert page.count("50.0") == text.count("50.0"), "the test figure of the best, no other"
    rows = list(csv.DictReader(io.StringIO(paths.csv.read_text())))
    assert len(rows) == 12
    assert {path.name for path in paths.plots} >= {"history.svg", "front-1.svg", "parameter-2.svg"}


def test_a_grid_of_whole_methods_compares_them_by_name(study_tree: dict, folder: StudyFolder) -> None:
    methods = [{"name": "uniform"}, {"name": "mixup", "alpha": 3.0}]
    design = {"kind": "grid", "factors": {"method": methods}}

    def metrics(trial: PlannedTrial) -> dict[str, float]:
        return {"test_balanced_accuracy": 0.5 + 0.1 * (trial.config.method.name == "mixup")}

    play(parse_study(study_tree | {"design": design}), folder, metrics)
    text = write_report(folder.path).markdown.read_text()
    assert "mixup − uniform: +10.0 points" in text
    assert "with both labels in proportion; with method.alpha 3" in text
    assert "| uniform | mixup |" in text.replace("| setting ", "|")


def test_the_front_is_what_nothing_beats() -> None:
    goals = (Goal(METRIC, "max"), Goal("overhead_ratio", "min"))

    def tried(number: int, *goal_values: float) -> Configuration:
        return Configuration(number, {}, "completed", goal_values, None, 1)

    cheap, middle, dear = tried(1, 0.5, 1.0), tried(2, 0.7, 1.2), tried(3, 0.8, 2.0)
    beaten, equal = tried(4, 0.7, 1.3), tried(5, 0.8, 2.0)
    front = pareto_front([cheap, beaten, middle, dear, equal, tried(6)], goals)
    assert [each.number for each in front] == [3, 5, 2, 1]


def test_a_search_in_which_nothing_completed_says_so(study_tree: dict, folder: StudyFolder) -> None:
    design = {"kind": "search", "space": {"optim.lr": LEARNING_RATE}, "budget": {"trials": 2}}
    play(parse_study(study_tree | {"design": design, "seeds": 1}), folder, lambda trial: "failed")
    paths = write_report(folder.path)
    assert paths.finding == "none of 2 configurations completed: nothing can be concluded"
    assert "Failed and stopped trials" in paths.html.read_text()


TUNED = {
    "kind": "tuned_comparison",
    "arms": {"uniform": {"set": {"method.name": "uniform"}}, "l2rw": {"set": {"method.name": "l2rw"}}},
    "space": {"optim.lr": LEARNING_RATE},
    "budget": {"trials": 4},
}


def test_arms_that_are_equal_ask_for_no_more_seeds(study_tree: dict, folder: StudyFolder) -> None:
    design = {"kind": "grid", "factors": {"method.name": ["uniform", "l2rw"]}}
    spec = parse_study(study_tree | {"design": design, "seeds": 3})
    play(spec, folder, lambda trial: {METRIC: 0.5, "test_balanced_accuracy": 0.5 + trial.seed / 100})
    assert summarise(folder.path).finding.endswith("paired): both are equal at every seed")


def test_a_tuned_comparison_reports_fresh_seeds_only(study_tree: dict, folder: StudyFolder) -> None:
    def metrics(trial: PlannedTrial) -> dict[str, float]:
        is_searched = trial.seed == 1_000_000
        gain = 0.1 * (trial.config.method.name == "l2rw") + trial.seed / 1e8
        test = 0.99 if is_searched else 0.5 + gain
        return {**best_at_a_tenth(trial), "test_balanced_accuracy": test}

    spec = parse_study(study_tree | {"design": TUNED, "seeds": 3})
    play(spec, folder, metrics)
    summary = summarise(folder.path)
    assert "l2rw − uniform: +10.0 points" in summary.finding
    assert summary.finding.endswith("the same at every seed, so its error is unknown")
    assert read_study(folder.path)["stage"].to_pylist() == ["search"] * 8 + ["final"] * 6
    assert summary.counts.planned == 6
    assert (
        max(value for point in summary.points for value in point.by_seed["test_balanced_accuracy"].values())
        < 0.7
    )
    (table,) = summary.details
    budget = budget_table(summary.budgets)
    assert [row.name for row in table.rows] == ["uniform", "l2rw"]
    assert budget.columns == ("1 configuration", "2 configurations", "4 configurations")
    assert budget.rows[0].cells[-1].text == table.rows[0].cells[-1].text
    assert [row.cells[0].text for row in table.rows] == ["4", "4"]
    assert [row.cells[1].text for row in table.rows] == ["0.04", "0.04"], "36 s each"
    assert dict(summary.provenance)["Tuning before"] == "8 trials, 5 min, 0.08 core-hours"
    paths = write_report(folder.path)
    page = paths.html.read_text()
    assert {f"search-budget{suffix}" for suffix in (".svg", ".pdf", ".png")} <= {
        plot.name for plot in paths.plots
    }
    assert "they close at the whole budget" in page
    assert "What tuning chose" in page
    assert "99.0" not in page


def test_configurations_that_diverged_stay_in_the_curve_of_their_arm(
    study_tree: dict, folder: StudyFolder
) -> None:
    def metrics(trial: PlannedTrial) -> dict[str, float] | str:
        if trial.config.method.name == "l2rw" and trial.config.optim.lr > 0.1:
            return "diverged"
        if trial.config.method.name == "uniform" and trial.config.optim.lr > 0.1:
            return "failed"
        return {**best_at_a_tenth(trial), "test_balanced_accuracy": 0.5 + trial.seed / 1e8}

    play(parse_study(study_tree | {"design": TUNED, "seeds": 3}), folder, metrics)
    budgets = summarise(folder.path).budgets
    lengths = {curve.arm: len(curve.means) for curve in budgets.curves}
    assert lengths["l2rw"] == 4
    assert lengths["uniform"] == 4 - budgets.lost["uniform"]
    assert set(budgets.diverged) == {"l2rw"}


def test_arms_tuned_at_several_levels_are_lines_along_them(study_tree: dict, folder: StudyFolder) -> None:
    def metrics(trial: PlannedTrial) -> dict[str, float]:
        gain = trial.config.data.noise.rate * (trial.config.method.name == "l2rw")
        return {**best_at_a_tenth(trial), "test_balanced_accuracy": 0.5 + gain + trial.seed / 1e8}

    chance = {"set": {"method.name": "random"}}
    arms = {"plain": TUNED["arms"]["uniform"], "chance": chance, "ours": TUNED["arms"]["l2rw"]}
    design = TUNED | {"arms": arms, "factors": {"data.noise.rate": [0.2, 0.4]}}
    play(parse_study(study_tree | {"design": design, "seeds": 3}), folder, metrics)
    summary = summarise(folder.path)
    assert "ours − plain: +30.0 points" in summary.finding
    assert summary.methods == ("plain", "chance", "ours")
    (effect,) = summary.effects
    assert [(point.method, point.level) for point in effect.points] == [
        (arm, level) for arm in summary.methods for level in (0.2, 0.4)
    ]
    (table,) = summary.details
    assert [row.name for row in table.rows] == [
        f"{arm}, share of wrong labels {percent}\N{NO-BREAK SPACE}%"
        for arm in summary.methods
        for percent in (20, 40)
    ]
    assert [row.cells[0].text for row in table.rows] == ["4"] * 6
    assert table.note.startswith("Each arm at each combination of its levels was searched by ")
    assert write_report(folder.path).finding == summary.finding


@pytest.mark.parametrize(
    ("budget", "basis"),
    [
        ({"trials": 3}, "with one budget for different numbers of parameters (uniform 1, l2rw 2)"),
        ({"trials_per_parameter": 2}, "with 2 configurations per parameter"),
    ],
)
def test_the_finding_says_what_budgets_of_unequal_spaces_were(
    study_tree: dict, folder: StudyFolder, budget: dict, basis: str
) -> None:
    def metrics(trial: PlannedTrial) -> dict[str, float]:
        gain = 0.1 * (trial.config.method.name == "l2rw") * (1 + trial.seed / 10)
        return {**best_at_a_tenth(trial), "test_balanced_accuracy": 0.5 + gain}

    own = {"method.update_every": {"kind": "int", "low": 1, "high": 4}}
    arms = {"uniform": TUNED["arms"]["uniform"], "l2rw": TUNED["arms"]["l2rw"] | {"space": own}}
    spec = parse_study(study_tree | {"design": TUNED | {"arms": arms, "budget": budget}, "seeds": 3})
    play(spec, folder, metrics)
    summary = summarise(folder.path)
    assert basis in summary.finding
    warned = any("may look worse for that alone" in warning for warning in summary.warnings)
    lines = describe_design(spec, ())
    noted = any(line.startswith("note: one budget") for line in lines)
    assert warned == noted == ("trials" in budget)
    assert ("  l2rw (4 configurations)" in lines) is ("trials" not in budget)
    design = dict(summary.design)
    assert design["Searched"] == (
        "learning rate 0.001 to 1 (log scale); of l2rw also steps per weight update 1 to 4"
    )
    each = "3 configurations" if "trials" in budget else "2 configurations per parameter (uniform 2, l2rw 4)"
    assert design["Budget of a search"] == f"{each} by tpe for each arm and setting"
    provenance = dict(summary.provenance)
    assert provenance["Added noise"] == "uniform, rate 30\N{NO-BREAK SPACE}%"
    assert provenance["Optimiser"].startswith("sgd, learning rate 0.")
    assert provenance["Optimiser"].endswith("momentum 0.9, batch size 20")


@pytest.mark.parametrize(("search", "seed", "largest"), [(0.05, 0.005, "search"), (0.0005, 0.05, "seed")])
def test_what_searches_chose_is_tested_again_to_tell_searches_from_seeds(
    study_tree: dict, folder: StudyFolder, search: float, seed: float, largest: str
) -> None:
    """The test metric of l2rw has a part that what its search chose makes, and one of the seed."""

    def metrics(trial: PlannedTrial) -> dict[str, float]:
        ours, lr = trial.config.method.name == "l2rw", trial.config.optim.lr
        chosen = np.random.default_rng(int(1e9 * lr)).normal(0, search)
        value = 0.5 + ours * (chosen + np.random.default_rng(trial.seed).normal(0, seed))
        return {**best_at_a_tenth(trial), "test_balanced_accuracy": float(value)}

    design = TUNED | {"searches": 12, "sampler": "random", "budget": {"trials": 2}}
    spec = parse_study(study_tree | {"design": design, "seeds": {"count": 12, "redraw": ["seed"]}})
    ran = play(spec, folder, metrics)
    assert len(ran) == spec.design.max_trials(24) == 2 * 12 * (2 + 1 + 1)
    summary = summarise(folder.path)
    assert summary.pooled[0].difference.interval.n == 12
    (table,) = [each for each in summary.details if each.key == "variation"]
    assert [row.name for row in table.rows] == [
        "both, between seeds with a search each",
        "search, by what it chose",
        "seed, with the same choice",
    ]
    assert f"Most of the variation comes from the {largest}" in table.note
    low, _, high = table.rows[1].cells[2].text.partition(" to ")
    assert float(high) > 0, "however little the search makes"
    assert (float(low) == 0) == ("The search's part is not distinguishable from none" in table.note)
    assert "24 trials, after 48 search trials, beside 24 trials drawn anew" in dict(summary.design)["Size"]
    seen = summarise_plan(spec, folder, nodes=this_machine())
    assert seen.to_run == 0
    assert f"most of the variation comes from the {largest}" in plan_text(seen)
    assert "what each search chose again at another seed: 24 further trials" in plan_text(seen)


def test_a_tuned_comparison_without_final_trials_is_refused(study_tree: dict, folder: StudyFolder) -> None:
    play(parse_study(study_tree | {"design": TUNED, "seeds": 3}), folder, trials=3)
    with pytest.raises(StudyFolderError, match="no final trial has finished"):
        summarise(folder.path)


def test_one_seed_of_a_level_concludes_nothing(study_tree: dict, folder: StudyFolder) -> None:
    levels = {"factor": "data.meta_per_class", "levels": [1, 2], "margin": 0.05, "most_seeds": 8}
    design = {"kind": "minimum_effective", **levels}
    play(parse_study(study_tree | {"design": design, "seeds": 3}), folder, best_at_a_tenth, trials=2)
    assert summarise(folder.path).finding.endswith("two completed seeds each: nothing can be concluded")


def test_an_unused_budget_is_a_warning(study_tree: dict, folder: StudyFolder) -> None:
    design = {"kind": "search", "space": {"optim.lr": LEARNING_RATE}, "budget": {"trials": 3}}
    play(parse_study(study_tree | {"design": design, "seeds": 1}), folder, best_at_a_tenth, trials=2)
    assert "Tried so far: 2 of at most 3 configurations" in write_report(folder.path).markdown.read_text()
    assert read_progress(folder).at_most == 3


def test_the_minimum_effective_level_has_limits(study_tree: dict, folder: StudyFolder) -> None:
    design = {
        "kind": "minimum_effective",
        "factor": "data.meta_per_class",
        "levels": [1, 2, 4],
        "margin": 0.05,
        "most_seeds": 8,
    }
    means = {1: 0.4, 2: 0.79, 4: 0.8}

    def metrics(trial: PlannedTrial) -> dict[str, float]:
        level = trial.config.data.meta_per_class
        noise = np.random.default_rng([level, trial.seed]).normal(0, 0.005)
        return {METRIC: means[level] + noise, "test_balanced_accuracy": means[level]}

    play(parse_study(study_tree | {"design": design, "seeds": 3}), folder, metrics)
    summary = summarise(folder.path)
    behind = summary.answer.rows[1].cells[1].text
    assert summary.finding == (
        "clean examples per class 2 is enough: not worse than any other level by more than "
        f"5.0 points of validation balanced accuracy (confidence 95 %), {behind} behind 4; "
        "a failure that strikes up to 63 % of runs may have gone unseen with 3 seeds"
    )
    assert [row.cells[0].text for row in summary.answer.rows] == ["worse", "enough", "enough"]
    page = write_report(folder.path).html.read_text()
    assert "How little is enough" in page
    assert "is enough: not worse" in page
