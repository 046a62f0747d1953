"""Lanes start where trials wait and there is room; a run is given up where there will be neither."""

import pytest

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.broker.trial_queue import PendingTrials
from l2rw_ray.orchestration.workers.scaling_policy import MOST_LOST, staffing

ONE, TWO = Resources(), Resources(workers=2)
CORES = [{"CPU": 4.0}]


@pytest.mark.parametrize(
    ("work", "running", "start"),
    [
        ({ONE: PendingTrials(9), TWO: PendingTrials(9)}, {}, {TWO: 1, ONE: 2}),
        ({ONE: PendingTrials(4, leased=2)}, {ONE: 2}, {ONE: 2}),
        ({ONE: PendingTrials(1, leased=2)}, {ONE: 2}, {ONE: 1}),
        ({ONE: PendingTrials(1, leased=1)}, {ONE: 2}, {}),
        ({ONE: PendingTrials(0, leased=1), TWO: PendingTrials(3)}, {ONE: 1}, {TWO: 1}),
        ({ONE: PendingTrials(None)}, {ONE: 1}, {ONE: 3}),
        ({ONE: PendingTrials(0, leased=4)}, {ONE: 4}, {}),
    ],
)
def test_lanes_follow_the_trials(work: dict, running: dict, start: dict) -> None:
    decision = staffing(work, running, {}, CORES, None)
    assert decision.start == start
    assert not decision.is_hopeless


def test_the_kind_that_few_places_hold_starts_first() -> None:
    assert list(staffing({ONE: PendingTrials(9), TWO: PendingTrials(9)}, {}, {}, CORES, None).start) == [
        TWO,
        ONE,
    ]


def test_a_lost_lane_is_replaced_until_its_kind_has_lost_too_many() -> None:
    left = {ONE: PendingTrials(1)}
    assert staffing(left, {}, {ONE: MOST_LOST - 1}, CORES, 1).start == {ONE: 1}
    decision = staffing(left, {}, {ONE: MOST_LOST}, CORES, 1)
    assert not decision.start
    assert decision.is_hopeless


def test_trials_of_a_lost_kind_do_not_end_those_of_another() -> None:
    work = {ONE: PendingTrials(1), TWO: PendingTrials(1)}
    decision = staffing(work, {}, {ONE: MOST_LOST}, CORES, 1)
    assert decision.start == {TWO: 1}, "even where the user allows one lane only"
    assert not staffing(work, {TWO: 1}, {ONE: MOST_LOST}, CORES, 1).is_hopeless
    assert staffing(
        {ONE: PendingTrials(1), TWO: PendingTrials(0)}, {}, {ONE: MOST_LOST}, CORES, 1
    ).is_hopeless


def test_the_users_limit_counts_all_lanes() -> None:
    assert staffing({TWO: PendingTrials(3)}, {ONE: 1}, {}, [{"CPU": 64.0}], 2).start == {TWO: 1}


def test_a_run_that_is_done_is_not_hopeless() -> None:
    assert not staffing({ONE: PendingTrials(0)}, {}, {}, CORES, None).is_hopeless


def test_a_run_whose_nodes_are_gone_is_hopeless() -> None:
    assert staffing({ONE: PendingTrials(2)}, {}, {}, [], None).is_hopeless
