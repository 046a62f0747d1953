"""A worker's way to the broker: events of short epochs are told together."""

from collections.abc import Callable
from time import monotonic

from l2rw_ray.events import EpochCompleted, Event, Verdict


class EventBuffer:
    """Takes a trial's events; epochs may wait a moment, its start and its end never.

    A call to the broker takes milliseconds of both processes, more than some epochs do.

    Args:
        send: Takes events in order, and answers whether the trial shall go on.
        every_s: Shortest time between two tellings of epochs; 0 tells each at once.
        clock: Seconds since some moment.
    """

    def __init__(
        self,
        send: Callable[[list[Event]], Verdict],
        every_s: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._send, self._every_s, self._clock = send, every_s, clock
        self._waiting: list[Event] = []
        self._told_at = clock()

    def __call__(self, event: Event) -> Verdict:
        """The broker's answer, or that nothing speaks against going on where it was not asked."""
        self._waiting.append(event)
        if isinstance(event, EpochCompleted) and self._clock() - self._told_at < self._every_s:
            return Verdict.CONTINUE
        return self.flush()

    def flush(self) -> Verdict:
        """Tell what waits."""
        told, self._waiting = self._waiting, []
        verdict = self._send(told) if told else Verdict.CONTINUE
        self._told_at = self._clock()
        return verdict
