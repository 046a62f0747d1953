"""How much memory formed example gradients may take."""

import psutil
import pytest
import torch

from l2rw_ray.meta.alignment.layers.budget import FormingBudget, Memory

X = torch.zeros(10, 100)  # 4000 bytes


def _granted(memory: Memory) -> list[int]:
    """Return which layers are formed, of several whose gradients take 400 to 40000 bytes."""
    budget = FormingBudget(memory)
    for size in (10, 20, 100, 200, 1000):
        budget.note(size, X, torch.zeros(size))
    return [size for size in (10, 20, 100, 200, 1000) if budget.grants(size)]


@pytest.mark.parametrize(
    ("memory", "granted"),
    [
        ("lean", [10, 20, 100]),
        ("fast", [10, 20, 100, 200, 1000]),
        ("auto", [10, 20, 100, 200, 1000]),
        (1200, [10, 20]),
        (0, []),
    ],
)
def test_the_smallest_come_first(memory: Memory, granted: list[int]) -> None:
    assert _granted(memory) == granted


def test_what_is_not_free_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    class Little:
        available = 3 * 3000

    monkeypatch.setattr(psutil, "virtual_memory", Little)
    assert _granted("fast") == [10, 20]
    assert _granted("auto") == _granted("lean")
