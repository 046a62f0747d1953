"""Which trials are timed for an estimate, and what becomes of their times."""

from itertools import pairwise

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.errors import NonFiniteError
from l2rw_ray.events import EpochCompleted, TrialEnded, TrialStatus, Verdict
from l2rw_ray.planning import timing_probe as trial_probe
from l2rw_ray.planning.cost_groups import CostGroup, distance, farthest_first, group_by_cost
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.planning.timing_probe import Estimate, probe_trials


def _kinds(tree: dict, **factors: list) -> list[CostGroup]:
    tree["design"]["factors"] = {path.replace("__", "."): levels for path, levels in factors.items()}
    return group_by_cost(plan_study(parse_study(tree)))


@pytest.mark.parametrize(
    ("path", "levels"),
    [
        ("method__name", ["uniform", "l2rw"]),
        ("method__update_every", [1, 4]),
        ("model__name", ["mlp", "lenet"]),
        ("model__width", [64, 128]),
        ("optim__batch_size", [10, 20]),
        ("data__train_size", [40, 60]),
        ("data__augment", [[], ["flip"]]),
        ("data__meta_per_class", [1, 2]),
        ("resources__cpus_per_worker", [1, 2]),
    ],
)
def test_what_changes_the_time_of_a_step_makes_another_kind(
    study_tree: dict, path: str, levels: list
) -> None:
    kinds = _kinds(study_tree, **{path: levels})
    assert [len(kind.trials) for kind in kinds] == [2, 2]
    assert distance(*kinds) > 0
    assert distance(kinds[0], kinds[0]) == 0


@pytest.mark.parametrize(
    ("path", "levels"),
    [("optim__lr", [0.1, 0.2]), ("optim__epochs", [1, 9]), ("data__noise__rate", [0.1, 0.2])],
)
def test_what_does_not_makes_none(study_tree: dict, path: str, levels: list) -> None:
    assert [len(kind.trials) for kind in _kinds(study_tree, **{path: levels})] == [4]


def test_bias_counts_where_it_decides_the_size(study_tree: dict) -> None:
    study_tree["trial"]["data"]["bias"] = {"kind": "dominant_class", "level": 0.2}
    assert len(_kinds(study_tree, data__bias__level=[0.2, 0.3])) == 1
    study_tree["trial"]["data"] |= {"train_size": None}
    study_tree["trial"]["data"]["bias"]["size"] = "as_published"
    assert len(_kinds(study_tree, data__bias__level=[0.2, 0.3])) == 2


def test_kinds_are_taken_from_far_apart(study_tree: dict) -> None:
    kinds = _kinds(study_tree, optim__batch_size=[1, 2, 4, 8, 16, 32])
    sizes = [kind.trials[0].config.optim.batch_size for kind in farthest_first(kinds, 3)]
    assert sizes == [1, 32, 4]
    assert len(farthest_first(kinds, 9)) == 6
    apart = [distance(kinds[0], kind) for kind in kinds]
    assert apart == pytest.approx([0, 1, 2, 3, 4, 5])
    assert all(one < other for one, other in pairwise(apart))


def test_kinds_that_are_not_timed_take_what_the_nearest_takes(
    study_tree: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One second per train example and epoch, ten at the start; the smallest and the largest are timed."""
    costs = {60: trial_probe._Cost(10.0, 60.0, 0.0), 15: trial_probe._Cost(10.0, 15.0, 0.0)}
    monkeypatch.setattr(trial_probe, "_MAX_COST_GROUPS", 2)
    monkeypatch.setattr(trial_probe, "_time", lambda trial, sources: costs[trial.config.data.train_size])
    study_tree["design"]["factors"] = {"data.train_size": [15, 20, 40, 60]}
    found = probe_trials(plan_study(parse_study(study_tree | {"seeds": 1})))
    assert found == Estimate(
        pytest.approx(10 + 2 * (15 + 20 + 40 + 60) / 4), 2, 4, pytest.approx(10 + 2 * 60)
    )
    assert found.basis == "a few steps of 2 of 4 kinds of trial, timed here"


def test_no_further_kind_is_begun_when_time_is_up(study_tree: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_probe, "_BUDGET_S", 0.0)
    monkeypatch.setattr(trial_probe, "_time", lambda trial, sources: trial_probe._Cost(1.0, 1.0, 0.0))
    assert probe_trials(plan_study(parse_study(study_tree))).timed == 1


def test_a_kind_that_diverges_is_taken_for_the_nearest(
    study_tree: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    def time(trial, sources):
        if trial.config.model.width >= wide:
            raise NonFiniteError(3, "scores")
        return trial_probe._Cost(1.0, 1.0, 0.0)

    monkeypatch.setattr(trial_probe, "_time", time)
    study_tree["design"]["factors"] = {"model.width": [32, 64]}
    trials, wide = plan_study(parse_study(study_tree)), 64
    assert probe_trials(trials) == Estimate(3.0, 1, 2, 3.0)
    wide = 32
    with pytest.raises(NonFiniteError, match="scores at step 3"):
        probe_trials(trials)


def test_times_of_parts_are_those_of_the_whole(study_tree: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs of 4 and 3 s, of which evaluation 1 s; 2 s to set up, next to none for the test set."""
    seen = []

    def train(trial, splits, emit, options):
        seen.append((options.epoch_steps, len(splits.train), len(splits.validation), len(splits.test)))
        assert trial.config.measurement.probe_rounds == 1
        assert emit(EpochCompleted("", 1, 0, 4.0, {})) is Verdict.CONTINUE
        assert emit(EpochCompleted("", 2, 0, 3.0, {})) is Verdict.STOP
        figures = {
            "time_evaluation_s": 2.0,
            "time_stage_s": 0.0,
            "step_time_plain_s": 0.1,
            "step_time_s": 0.2,
        }
        emit(TrialEnded("", TrialStatus.STOPPED, 2, 0, 9.0, figures))

    monkeypatch.setattr(trial_probe, "train_trial", train)
    monkeypatch.setattr(trial_probe, "_EVALUATED", 20)
    study_tree["trial"]["measurement"] = {"probe_rounds": 6}
    study_tree["design"]["factors"] = {"optim.batch_size": [6]}
    found = probe_trials(plan_study(parse_study(study_tree | {"seeds": 1})))
    assert seen == [(5, 60, 20, 20)]
    once_s, rounds_s = 2.0 + 1.0, 5 * (0.1 + 0.2)
    epoch_s = 2.0 * 10 / 5 + 1.0 * 40 / 20
    assert found.trial_s == pytest.approx(once_s + rounds_s + 2 * epoch_s, abs=0.01)


def test_a_cycle_of_steps_is_timed_whole(study_tree: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = trial_probe.train_trial

    def train(trial, splits, emit, options):
        seen.append(options.epoch_steps)
        real(trial, splits, emit, options)

    monkeypatch.setattr(trial_probe, "train_trial", train)
    study_tree["trial"]["optim"]["batch_size"] = 5
    study_tree["design"]["factors"] = {"method.update_every": [1, 4, 7, 100]}
    assert probe_trials(plan_study(parse_study(study_tree | {"seeds": 1}))).trial_s > 0
    assert sorted(seen) == [5, 7, 8, 12], "an epoch has twelve"


def test_trials_with_groups_and_a_warmed_up_second_stage_are_timed(study_tree: dict) -> None:
    study_tree["trial"]["optim"] |= {
        "groups": [{"match": "1.*", "lr_factor": 2}],
        "schedule": {"name": "cosine", "warmup": 1},
        "epochs": 4,
    }
    study_tree["trial"]["method"] = {"name": "jtt"}
    study_tree["design"]["factors"] = {"optim.lr": [0.05]}
    assert probe_trials(plan_study(parse_study(study_tree))).trial_s > 0
