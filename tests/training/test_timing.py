"""The interleaved probe counts what it should and nothing else."""

import torch

from l2rw_ray.training import timing
from l2rw_ray.training.timing import PhaseTimer, interleaved_step_times


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_medians_leave_out_the_warm_up_and_average_a_cycle(monkeypatch) -> None:
    clock = _Clock()
    monkeypatch.setattr(timing, "perf_counter", clock)
    plain_s, reweighted_s = iter([9.0, 1.0, 2.0, 3.0]), iter([50.0, 50.0, 4.0, 2.0, 4.0, 2.0, 4.0, 2.0])
    timer = PhaseTimer(torch.device("cpu"), synchronise=True)

    def reweighted() -> None:
        with timer("alignment"):
            clock.now += next(reweighted_s)

    def plain() -> None:
        clock.now += next(plain_s)

    assert interleaved_step_times(plain, reweighted, 2, 3, timer) == (2.0, 3.0)
    assert dict(timer.total_s) == {"alignment": 18.0}
