"""Wall times, measured in turn so that a slower machine slows all of them down."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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


def interleaved_times(
    runs: Mapping[str, Callable[[], object]],
    rounds: int,
    device: torch.device,
    warm_up_rounds: int = _WARM_UP_ROUNDS,
) -> dict[str, list[float]]:
    """Return wall times of several functions, from rounds that call each of them once, in turn.

    Ratios within a round do not change when the machine slows down for longer than a round.

    Args:
        runs: What to time, by name.
        rounds: Number of timed rounds.
        device: Where the work runs; CUDA is synchronised before and after each call.
        warm_up_rounds: Rounds before that are not counted.

    Returns:
        Seconds by name, one value per round.
    """
    times_s: dict[str, list[float]] = {name: [] for name in runs}
    timer = PhaseTimer(device, synchronise=True)
    for number in range(warm_up_rounds + rounds):
        for name, run in runs.items():
            with timer(name):
                run()
            spent_s = timer.total_s.pop(name)
            if number >= warm_up_rounds:
                times_s[name].append(spent_s)
    return times_s
