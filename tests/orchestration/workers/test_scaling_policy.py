"""Worker groups start when trials wait and fit; a run without any is given up."""

import pytest

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.broker.trial_queue import PendingTrials
from l2rw_ray.orchestration.workers.scaling_policy import MAX_FAILED_STARTS, decide_scaling, worthwhile_groups

ONE, TWO = Resources(), Resources(workers=2)
CORES = [{"CPU": 4.0}]


@pytest.mark.parametrize(
    ("pending", "running", "start"),
    [
        ({ONE: PendingTrials(9), TWO: PendingTrials(9)}, {}, {TWO: 1, ONE: 2}),
        ({ONE: PendingTrials(4, running=2)}, {ONE: 2}, {ONE: 2}),
        ({ONE: PendingTrials(1, running=2)}, {ONE: 2}, {ONE: 1}),
        ({ONE: PendingTrials(1, running=1)}, {ONE: 2}, {}),
        ({ONE: PendingTrials(0, running=1), TWO: PendingTrials(3)}, {ONE: 1}, {TWO: 1}),
        ({ONE: PendingTrials(None)}, {ONE: 1}, {ONE: 3}),
        ({ONE: PendingTrials(0, running=4)}, {ONE: 4}, {}),
    ],
)
def test_groups_follow_the_trials(pending: dict, running: dict, start: dict) -> None:
    decision = decide_scaling(pending, running, {}, CORES, None)
    assert decision.start == start
    assert not decision.is_stuck


def test_the_kind_that_few_places_hold_starts_first() -> None:
    assert list(
        decide_scaling({ONE: PendingTrials(9), TWO: PendingTrials(9)}, {}, {}, CORES, None).start
    ) == [
        TWO,
        ONE,
    ]


def test_a_lost_group_is_replaced_until_its_kind_has_lost_too_many() -> None:
    left = {ONE: PendingTrials(1)}
    assert decide_scaling(left, {}, {ONE: MAX_FAILED_STARTS - 1}, CORES, 1).start == {ONE: 1}
    decision = decide_scaling(left, {}, {ONE: MAX_FAILED_STARTS}, CORES, 1)
    assert not decision.start
    assert decision.is_stuck


def test_trials_of_a_lost_kind_do_not_end_those_of_another() -> None:
    pending = {ONE: PendingTrials(1), TWO: PendingTrials(1)}
    decision = decide_scaling(pending, {}, {ONE: MAX_FAILED_STARTS}, CORES, 1)
    assert decision.start == {TWO: 1}, "even where the user allows one worker group only"
    assert not decide_scaling(pending, {TWO: 1}, {ONE: MAX_FAILED_STARTS}, CORES, 1).is_stuck
    assert decide_scaling(
        {ONE: PendingTrials(1), TWO: PendingTrials(0)}, {}, {ONE: MAX_FAILED_STARTS}, CORES, 1
    ).is_stuck


def test_the_users_limit_counts_all_groups() -> None:
    assert decide_scaling({TWO: PendingTrials(3)}, {ONE: 1}, {}, [{"CPU": 64.0}], 2).start == {TWO: 1}


def test_a_run_that_is_done_is_not_stuck() -> None:
    assert not decide_scaling({ONE: PendingTrials(0)}, {}, {}, CORES, None).is_stuck


def test_a_run_whose_nodes_are_gone_is_stuck() -> None:
    assert decide_scaling({ONE: PendingTrials(2)}, {}, {}, [], None).is_stuck


@pytest.mark.parametrize(
    ("trials", "trial_s", "groups"),
    [
        (1000, None, 1),  # nothing is known before the first trial runs
        (12, 0.3, 1),  # 3.6 s of work do not pay for a start of 4 s
        (12, 1.0, 2),
        (12, 60.0, 91),
        (100_000, 0.02, 251),
        (None, 0.1, None),
    ],
)
def test_groups_grow_with_the_work(trials: int | None, trial_s: float | None, groups: int | None) -> None:
    assert worthwhile_groups(trials, trial_s, start_s=4.0) == groups


def test_no_more_groups_start_than_the_work_is_worth() -> None:
    def start(running: int, worth: int | None) -> dict:
        pending, groups = {ONE: PendingTrials(9)}, {ONE: running} if running else {}
        return dict(decide_scaling(pending, groups, {}, CORES, None, worthwhile={ONE: worth}).start)

    assert [start(0, 1), start(1, 1), start(1, 2), start(2, 1), start(1, None)] == [
        *({ONE: 1}, {}, {ONE: 1}, {}, {ONE: 3})
    ]


def test_memory_holds_groups_back_but_never_the_first() -> None:
    decision = decide_scaling({ONE: PendingTrials(9)}, {ONE: 1}, {}, CORES, None, memory_for=1)
    assert (decision.start, decision.held_back, decision.is_stuck) == ({ONE: 1}, 2, False)
    first = decide_scaling({ONE: PendingTrials(9)}, {}, {}, CORES, None, memory_for=0)
    assert (first.start, first.held_back) == ({ONE: 1}, 3)
    assert not decide_scaling({ONE: PendingTrials(9)}, {ONE: 4}, {}, CORES, None, memory_for=0).held_back
