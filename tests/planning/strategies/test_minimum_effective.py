"""Searching for enough without a cluster: figures come from a formula."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from l2rw_ray.config import PlannedTrial, StudySpec, parse_study
from l2rw_ray.planning.strategies.minimum_effective import MinimumEffectiveStrategy
from l2rw_ray.results.trial_result import TrialResult
from l2rw_ray.statistics.minimum_effective import Verdict

METRIC = "validation_balanced_accuracy"
LEVELS = [1, 2, 5, 10]
DESIGN: dict[str, Any] = {
    "kind": "minimum_effective",
    "factor": "data.meta_per_class",
    "levels": LEVELS,
    "margin": 0.05,
    "most_seeds": 20,
}


def figure_of(means: Mapping[int, float], spread: float) -> Callable[[PlannedTrial], float]:
    def figure(trial: PlannedTrial) -> float:
        level = trial.factors["data.meta_per_class"]
        noise = np.random.default_rng([level, trial.seed]).normal(0, spread)
        return means[level] + noise + np.random.default_rng(trial.seed).normal(0, 0.1)

    return figure


def play(
    spec: StudySpec,
    figure: Callable[[PlannedTrial], float],
    ledger: dict[str, TrialResult] | None = None,
    trials: int = 1000,
) -> tuple[MinimumEffectiveStrategy, list[PlannedTrial], dict[str, TrialResult]]:
    ledger = {} if ledger is None else dict(ledger)
    strategy, ran = MinimumEffectiveStrategy(spec, spec.design, ledger), []
    while len(ran) < trials and not strategy.is_done:
        trial = strategy.ask()
        assert trial is not None, "one worker group never waits"
        ran.append(trial)
        ledger[trial.trial_id] = TrialResult("completed", None, 36.0, {METRIC: figure(trial)})
        strategy.tell(trial.trial_id, ledger[trial.trial_id])
    return strategy, ran, ledger


def seeds_by_level(strategy: MinimumEffectiveStrategy) -> dict[int, int]:
    levels = [trial.factors["data.meta_per_class"] for trial in strategy.planned]
    return {level: levels.count(level) for level in LEVELS}


def test_clear_levels_get_no_more_seeds(study_tree: dict) -> None:
    spec = parse_study(study_tree | {"design": DESIGN, "seeds": 4})
    strategy, ran, _ = play(spec, figure_of({1: 0.3, 2: 0.5, 5: 0.8, 10: 0.8}, 1e-4))
    assert len(ran) == len(strategy.planned) == 16
    assert strategy.remaining == 0
    assert strategy.found.answer == 2
    assert strategy.found.is_settled


def test_seeds_are_added_where_the_answer_is_open(study_tree: dict) -> None:
    spec = parse_study(study_tree | {"design": DESIGN, "seeds": 3})
    strategy, ran, _ = play(spec, figure_of({1: 0.2, 2: 0.8, 5: 0.805, 10: 0.81}, 0.02))
    seeds = seeds_by_level(strategy)
    assert strategy.found.answer == 1
    assert strategy.found.is_settled
    assert seeds[1] < seeds[2], "one example is soon out of the question"
    assert len({trial.trial_id for trial in ran}) == len(ran)
    assert {trial.seed for trial in strategy.planned} == set(range(max(seeds.values()))), (
        "seeds go on from 0, 1, 2"
    )


@pytest.mark.parametrize("cut", [0, 5, 12, 20, 30])
def test_the_next_round_depends_on_the_ledger_alone(study_tree: dict, cut: int) -> None:
    spec = parse_study(study_tree | {"design": DESIGN, "seeds": 3})
    figure = figure_of({1: 0.2, 2: 0.78, 5: 0.8, 10: 0.81}, 0.02)
    whole, ran, _ = play(spec, figure)
    _, before, ledger = play(spec, figure, trials=cut)
    again, after, _ = play(spec, figure, ledger)
    assert [trial.trial_id for trial in again.planned] == [trial.trial_id for trial in whole.planned]
    assert len(before) + len(after) == len(ran)


@pytest.mark.parametrize("budget", [{"trials": 20}, {"hours": 0.2}])
def test_the_budget_ends_it_with_the_answer_open(study_tree: dict, budget: dict) -> None:
    spec = parse_study(study_tree | {"design": DESIGN | {"budget": budget}, "seeds": 3})
    strategy, ran, _ = play(spec, figure_of({1: 0.76, 2: 0.77, 5: 0.8, 10: 0.81}, 0.1))
    assert 12 <= len(ran) <= 24
    assert strategy.is_done
    assert not strategy.found.is_settled


def test_the_largest_level_is_sought_from_the_other_end(study_tree: dict) -> None:
    spec = parse_study(study_tree | {"design": DESIGN | {"seek": "largest"}, "seeds": 4})
    strategy, _, _ = play(spec, figure_of({1: 0.8, 2: 0.8, 5: 0.8, 10: 0.3}, 1e-4))
    assert LEVELS[strategy.found.answer] == 5


def test_a_level_that_never_completes_gets_no_more_seeds(study_tree: dict) -> None:
    spec = parse_study(study_tree | {"design": DESIGN, "seeds": 4})
    strategy = MinimumEffectiveStrategy(spec, spec.design, {})
    figure = figure_of({1: 0.3, 2: 0.5, 5: 0.8, 10: 0.8}, 1e-4)
    while not strategy.is_done:
        trial = strategy.ask()
        lost = trial.factors["data.meta_per_class"] == 1
        completed = TrialResult("completed", None, 1, {METRIC: figure(trial)})
        strategy.tell(trial.trial_id, TrialResult("failed") if lost else completed)
    assert len(strategy.planned) == 16
    assert strategy.found.levels[0].verdict is Verdict.UNKNOWN
    assert (strategy.found.answer, strategy.found.is_settled) == (2, True)


def test_failed_trials_leave_their_seed_out(study_tree: dict) -> None:
    spec = parse_study(study_tree | {"design": DESIGN | {"most_seeds": 4}, "seeds": 4})
    strategy = MinimumEffectiveStrategy(spec, spec.design, {})
    figure = figure_of({1: 0.3, 2: 0.5, 5: 0.8, 10: 0.8}, 1e-4)
    while not strategy.is_done:
        trial = strategy.ask()
        result = (
            TrialResult("failed")
            if trial.seed == 1
            else TrialResult("completed", None, 1, {METRIC: figure(trial)})
        )
        strategy.tell(trial.trial_id, result)
    assert strategy.found.answer == 2
    retried = MinimumEffectiveStrategy(spec, spec.design, strategy._ledger, retry_failed=True)
    assert retried.remaining == 4
