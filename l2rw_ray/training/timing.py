"""What a reweighted step costs, measured beside the training and without touching it."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter

import torch

_WARM_UP_ROUNDS = 1


class PhaseTimer:
    """Adds up wall time by phase.

    Args:
        device: Where the work runs; on CUDA, `synchronise` waits for it at both ends of a phase.
        synchronise: Whether to wait. Waiting slows training down, not waiting misattributes.
    """

    def __init__(self, device: torch.device, *, synchronise: bool) -> None:
        self._waits = synchronise and device.type == "cuda"
        self._device = device
        self.total_s: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Count the time inside towards `phase`."""
        self._wait()
        start = perf_counter()
        yield
        self._wait()
        self.total_s[phase] += perf_counter() - start

    def _wait(self) -> None:
        if self._waits:
            torch.cuda.synchronize(self._device)


def interleaved_step_times(
    plain: Callable[[], None], reweighted: Callable[[], None], steps: int, rounds: int, timer: PhaseTimer
) -> tuple[float, float]:
    """Median time of a plain and of a reweighted step, from rounds that do both in turn.

    A machine that slows down slows both kinds down, so their ratio survives.

    Args:
        plain: Makes one plain step.
        reweighted: Makes one reweighted step.
        steps: Reweighted steps that make up one cycle (`update_every`); timed together.
        rounds: Rounds counted, after a warm-up that is not.
        timer: Left with the phase times of the counted rounds.

    Returns:
        Seconds of a plain step and of a reweighted step, the latter averaged over its cycle.
    """
    plain_s, reweighted_s = [], []
    for number in range(_WARM_UP_ROUNDS + rounds):
        if number == _WARM_UP_ROUNDS:
            timer.total_s.clear()
        with timer("plain_step"):
            plain()
        plain_s.append(timer.total_s.pop("plain_step"))
        with timer("reweighted_cycle"):
            for _ in range(steps):
                reweighted()
        reweighted_s.append(timer.total_s.pop("reweighted_cycle") / steps)
    return median(plain_s[_WARM_UP_ROUNDS:]), median(reweighted_s[_WARM_UP_ROUNDS:])
