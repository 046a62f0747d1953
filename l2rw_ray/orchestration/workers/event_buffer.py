"""Buffer a trial's events so that those of short epochs are sent to the broker together."""

from collections.abc import Callable
from time import monotonic

from l2rw_ray.events import EpochCompleted, Event, Verdict


class EventBuffer:
    """Emitter of a trial's events that delays epochs, but neither the trial's start nor its end.

    A call to the broker takes milliseconds of both processes, more than some epochs do.

    Args:
        send: Receives events in order and returns whether the trial continues.
        every_s: Minimum time between two sends of epochs; 0 sends each at once.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self,
        send: Callable[[list[Event]], Verdict],
        every_s: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._send, self._every_s, self._clock = send, every_s, clock
        self._waiting: list[Event] = []
        self._sent_at = clock()

    def __call__(self, event: Event) -> Verdict:
        """Send or delay an event. Returns the broker's answer; CONTINUE for a delayed event."""
        self._waiting.append(event)
        if isinstance(event, EpochCompleted) and self._clock() - self._sent_at < self._every_s:
            return Verdict.CONTINUE
        return self.flush()

    def flush(self) -> Verdict:
        """Send the delayed events."""
        events, self._waiting = self._waiting, []
        verdict = self._send(events) if events else Verdict.CONTINUE
        self._sent_at = self._clock()
        return verdict
