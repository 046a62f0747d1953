"""When a worker is replaced, by trials and by memory."""

import pytest

from l2rw_ray.config import Limits
from l2rw_ray.orchestration.workers import recycling
from l2rw_ray.training import Ranks

MIB = 2**20


@pytest.fixture
def used(monkeypatch):
    """The worker's resident memory after each of its trials, to be set."""
    amounts: list[int] = []
    monkeypatch.setattr(recycling, "own_memory_bytes", lambda: amounts.pop(0))
    return amounts


def lived(used, limits: Limits, max_trials: int = 100) -> int:
    """How many trials a worker trains until it is worn; all that there are if it never is."""
    number, worker = len(used), recycling.RecyclePolicy(max_trials, limits, lambda: None)
    for trial in range(number):
        if worker.should_recycle(Ranks()):
            return trial + 1
    return number


def test_many_trials_wear(used):
    used += [500 * MIB] * 5
    assert lived(used, Limits(), max_trials=3) == 3


def test_growth_wears(used):
    used += [500 * MIB, 2500 * MIB, 2600 * MIB, 2600 * MIB]
    assert lived(used, Limits()) == 3


def test_under_a_limit_less_growth_wears(used):
    used += [500 * MIB, 590 * MIB, 610 * MIB, 610 * MIB]
    assert lived(used, Limits(memory_bytes=1000 * MIB)) == 3


def test_all_ranks_go_where_one_has_grown(used, monkeypatch):
    used += [500 * MIB] * 2
    worker, grown = recycling.RecyclePolicy(100, Limits(), lambda: None), iter([0, 3000 * MIB])
    monkeypatch.setattr(Ranks, "maximum", lambda self, own: max(own, next(grown)))
    assert [worker.should_recycle(Ranks()) for _ in range(2)] == [False, True]


@pytest.mark.parametrize(("limits", "expected"), [(Limits(), 0), (Limits(memory_bytes=2**30), 2)])
def test_only_a_limit_makes_it_forget(used, monkeypatch, limits, expected):
    forgotten, given_back = [], []
    monkeypatch.setattr(recycling, "give_back_freed_memory", lambda: given_back.append(len(forgotten)))
    used += [500 * MIB] * 2
    worker = recycling.RecyclePolicy(100, limits, lambda: forgotten.append(1))
    for _ in range(2):
        worker.should_recycle(Ranks())
    assert len(forgotten) == expected
    assert given_back == list(range(1, expected + 1)), "after what was kept has been let go"
