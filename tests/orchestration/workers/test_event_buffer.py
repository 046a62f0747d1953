"""Events reach the broker in order, none twice and none lost; what waits is told by the next call."""

from l2rw_ray.events import EpochCompleted, Event, TrialEnded, TrialStarted, TrialStatus, Verdict
from l2rw_ray.orchestration.workers.event_buffer import EventBuffer

START = TrialStarted("t", 1, 1, "cpu", "a core", 60, 5, {}, {})
END = TrialEnded("t", TrialStatus.COMPLETED, 5, 15, 1.0)
EPOCHS = [EpochCompleted("t", epoch, 3 * epoch, 0.1, {}) for epoch in range(1, 6)]


def told(every_s: float, times: list[float]) -> list[list[Event]]:
    calls: list[list[Event]] = []

    def send(events: list[Event]) -> Verdict:
        calls.append(events)
        return Verdict.STOP

    moment = [0.0]
    reports = EventBuffer(send, every_s, clock=lambda: moment[0])
    for moment[0], event in zip(times, [START, *EPOCHS, END], strict=True):
        verdict = reports(event)
        asked = bool(calls) and calls[-1][-1] is event
        assert verdict is (Verdict.STOP if asked else Verdict.CONTINUE)
    return calls


def test_epochs_of_a_scheduled_trial_are_told_at_once() -> None:
    assert told(0.0, [0.0] * 7) == [[event] for event in (START, *EPOCHS, END)]


def test_short_epochs_are_told_together_and_the_ends_at_once() -> None:
    first, second, *rest = EPOCHS
    assert told(0.5, [0, 0.3, 0.6, 0.7, 0.8, 0.9, 1.0]) == [[START], [first, second], [*rest, END]]


def test_long_epochs_are_told_one_by_one() -> None:
    assert told(0.5, [0, 1, 2, 3, 4, 5, 6]) == [[event] for event in (START, *EPOCHS, END)]


def test_what_waits_can_be_told_without_an_event() -> None:
    calls: list[list[Event]] = []
    reports = EventBuffer(lambda events: calls.append(events) or Verdict.STOP, 9.0, clock=lambda: 0.0)
    assert reports(EPOCHS[0]) is Verdict.CONTINUE
    assert reports.flush() is Verdict.STOP
    assert reports.flush() is Verdict.CONTINUE
    assert calls == [[EPOCHS[0]]]
