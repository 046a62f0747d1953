"""Workers are replaced after many trials or when their memory has grown."""

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
    """Return how many trials a worker trains until it is recycled; all of them if it never is."""
    number, worker = len(used), recycling.RecyclePolicy(max_trials, limits, lambda: None)
    for trial in range(number):
        if worker.should_recycle(Ranks()):
            return trial + 1
    return number


def test_many_trials(used):
    used += [500 * MIB] * 5
    assert lived(used, Limits(), max_trials=3) == 3


def test_growth(used):
    used += [500 * MIB, 2500 * MIB, 2600 * MIB, 2600 * MIB]
    assert lived(used, Limits()) == 3


def test_growth_under_a_limit(used):
    used += [500 * MIB, 590 * MIB, 610 * MIB, 610 * MIB]
    assert lived(used, Limits(memory_bytes=1000 * MIB)) == 3


def test_all_ranks_are_recycled_when_one_has_grown(used, monkeypatch):
    used += [500 * MIB] * 2
    worker, grown = recycling.RecyclePolicy(100, Limits(), lambda: None), iter([0, 3000 * MIB])
    monkeypatch.setattr(Ranks, "maximum", lambda self, own: max(own, next(grown)))
    assert [worker.should_recycle(Ranks()) for _ in range(2)] == [False, True]


@pytest.mark.parametrize(("limits", "expected"), [(Limits(), 0), (Limits(memory_bytes=2**30), 2)])
def test_only_a_limit_clears_the_cache(used, monkeypatch, limits, expected):
    cleared, given_back = [], []
    monkeypatch.setattr(recycling, "give_back_freed_memory", lambda: given_back.append(len(cleared)))
    used += [500 * MIB] * 2
    worker = recycling.RecyclePolicy(100, limits, lambda: cleared.append(1))
    for _ in range(2):
        worker.should_recycle(Ranks())
    assert len(cleared) == expected
    assert given_back == list(range(1, expected + 1)), "after the cache was cleared"
