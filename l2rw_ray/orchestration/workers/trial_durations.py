"""Estimate from a run's events how long its trials take."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from time import monotonic

from l2rw_ray.events import AttemptLost, EpochCompleted, Event, TrialEnded, TrialStarted


@dataclass
class _Running:
    started_at: float
    epochs: float
    epoch: float = 0.0

    def duration_s(self, now: float) -> float:
        """Return the estimated duration; before its first epoch, the time that has passed."""
        share = self.epoch / self.epochs if self.epochs else 1.0
        return (now - self.started_at) / (share or 1.0)


class TrialDurations:
    """Observer of a run's events.

    Attributes:
        first_started_at: When the first trial started, by the clock; None before.

    Args:
        clock: Monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._running: dict[str, _Running] = {}
        self._done: dict[str, float] = {}
        self._ended, self._ended_s = 0, 0.0
        self.first_started_at: float | None = None

    def __call__(self, event: Event) -> None:
        """Record an event."""
        match event:
            case TrialStarted():
                self.first_started_at = self.first_started_at or self._clock()
                done = event.history[-1].epoch if event.history else 0
                self._done[event.trial_id] = done
                self._running[event.trial_id] = _Running(self._clock(), max(event.epochs - done, 0))
            case EpochCompleted() if event.trial_id in self._running:
                self._running[event.trial_id].epoch = event.epoch - self._done[event.trial_id]
            case AttemptLost():
                self._running.pop(event.trial_id, None)
            case TrialEnded():
                self._running.pop(event.trial_id, None)
                self._ended, self._ended_s = self._ended + 1, self._ended_s + event.duration_s

    def estimate_s(self) -> float | None:
        """Return the mean duration of a trial; None before the first one started.

        A trial that has run for longer than those that have ended counts for what it has taken so far.
        """
        now, running = self._clock(), list(self._running.values())
        if self._ended:
            longest = max((now - each.started_at for each in running), default=0.0)
            return max(self._ended_s / self._ended, longest)
        return fmean(each.duration_s(now) for each in running) if running else None
