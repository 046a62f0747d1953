"""Interleaved rounds count what they should and nothing else."""

import torch

from l2rw_ray.measurement import interleaved_times, peak_memory_bytes, timing


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rounds_take_turns_and_leave_out_the_warm_up(monkeypatch) -> None:
    clock, order = _Clock(), []
    monkeypatch.setattr(timing, "perf_counter", clock)
    waits_s = {"plain": iter([9.0, 1.0, 2.0]), "reweighted": iter([50.0, 4.0, 5.0])}

    def run(name: str) -> None:
        order.append(name)
        clock.now += next(waits_s[name])

    found = interleaved_times(
        {name: lambda name=name: run(name) for name in waits_s}, rounds=2, device=torch.device("cpu")
    )
    assert found == {"plain": [1.0, 2.0], "reweighted": [4.0, 5.0]}
    assert order == ["plain", "reweighted"] * 3


def test_peak_memory_is_what_was_held_at_once() -> None:
    mebibyte = 2**20

    def work() -> None:
        first = torch.empty(4 * mebibyte, dtype=torch.uint8)
        del first
        kept = torch.empty(3 * mebibyte, dtype=torch.uint8)
        torch.empty(2 * mebibyte, dtype=torch.uint8)
        del kept

    assert peak_memory_bytes(work, torch.device("cpu")) == 5 * mebibyte
