"""Events reach the broker in order, none twice and none lost; delayed ones with the next call."""

from l2rw_ray.events import EpochCompleted, Event, TrialEnded, TrialStarted, TrialStatus, Verdict
from l2rw_ray.orchestration.workers.event_buffer import EventBuffer

START = TrialStarted("t", 1, 1, "cpu", "a core", 60, 5, {}, {})
END = TrialEnded("t", TrialStatus.COMPLETED, 5, 15, 1.0)
EPOCHS = [EpochCompleted("t", epoch, 3 * epoch, 0.1, {}) for epoch in range(1, 6)]


def sent(every_s: float, times: list[float]) -> list[list[Event]]:
    calls: list[list[Event]] = []

    def send(events: list[Event]) -> Verdict:
        calls.append(events)
        return Verdict.STOP

    moment = [0.0]
    buffer = EventBuffer(send, every_s, clock=lambda: moment[0])
    for moment[0], event in zip(times, [START, *EPOCHS, END], strict=True):
        verdict = buffer(event)
        asked = bool(calls) and calls[-1][-1] is event
        assert verdict is (Verdict.STOP if asked else Verdict.CONTINUE)
    return calls


def test_without_a_delay_epochs_are_sent_at_once() -> None:
    assert sent(0.0, [0.0] * 7) == [[event] for event in (START, *EPOCHS, END)]


def test_short_epochs_are_sent_together_and_ends_at_once() -> None:
    first, second, *rest = EPOCHS
    assert sent(0.5, [0, 0.3, 0.6, 0.7, 0.8, 0.9, 1.0]) == [[START], [first, second], [*rest, END]]


def test_long_epochs_are_sent_one_by_one() -> None:
    assert sent(0.5, [0, 1, 2, 3, 4, 5, 6]) == [[event] for event in (START, *EPOCHS, END)]


def test_delayed_events_can_be_flushed() -> None:
    calls: list[list[Event]] = []
    buffer = EventBuffer(lambda events: calls.append(events) or Verdict.STOP, 9.0, clock=lambda: 0.0)
    assert buffer(EPOCHS[0]) is Verdict.CONTINUE
    assert buffer.flush() is Verdict.STOP
    assert buffer.flush() is Verdict.CONTINUE
    assert calls == [[EPOCHS[0]]]
