"""How many worker groups the driver's node has memory for."""

from types import SimpleNamespace

import pytest

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.workers import head_memory
from l2rw_ray.orchestration.workers.head_memory import GROUP_BYTES, WORKER_BYTES, HeadMemory


def _group(workers: int = 1, *, is_placed: bool = True) -> SimpleNamespace:
    return SimpleNamespace(resources=Resources(workers=workers), is_placed=is_placed)


@pytest.fixture
def available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_memory, "available_bytes", lambda: 10 * WORKER_BYTES)


def test_workers_on_the_drivers_node_take_their_memory_from_it(available: None) -> None:
    memory = HeadMemory()
    assert memory.further_groups([], are_here=True) == 9, "a tenth is left to others"
    assert memory.further_groups([_group(2)], are_here=True) == 4
    starting = [_group(is_placed=False)] * 5
    assert memory.further_groups(starting, are_here=True) == 4, "those that start have yet to take theirs"
    assert memory.further_groups(starting * 3, are_here=True) == 0


def test_workers_elsewhere_take_next_to_nothing(available: None) -> None:
    memory = HeadMemory()
    assert memory.further_groups([_group(2)], are_here=False) == int(9 * WORKER_BYTES / GROUP_BYTES)


def test_the_reason_has_the_numbers(available: None) -> None:
    memory = HeadMemory()
    memory.further_groups([_group()], are_here=True)
    assert memory.reason(3) == (
        "for 3 worker groups only: the driver's node has 5.9 GiB available, and each group takes about "
        "600 MiB of it"
    )
