"""A failing ledger ends the run; another failing observer is removed."""

from types import SimpleNamespace

import pytest

from l2rw_ray.events import Event, TrialEnded, TrialStatus
from l2rw_ray.orchestration.broker.event_pump import EventPump

ENDS = [TrialEnded(name, TrialStatus.COMPLETED, 1, 3, 1.0) for name in "abc"]


def test_observers_do_not_see_an_end_that_was_not_recorded() -> None:
    interrupts: list[bool] = []
    broker = SimpleNamespace(interrupt_async=lambda: interrupts.append(True))
    seen: list[Event] = []
    recorded: list[Event] = []

    def ledger(event: Event) -> None:
        if event is ENDS[1]:
            raise OSError("disk full")
        recorded.append(event)

    pump = EventPump(broker, ledger, [seen.append])
    for event in ENDS:
        pump._deliver(event)
    assert seen == recorded == ENDS[:1]
    assert str(pump.error) == "disk full"
    assert interrupts == [True]


@pytest.mark.parametrize("raised", [ValueError("odd"), SystemExit(1)])  # the latter of a closed pipe
def test_an_observer_that_fails_is_removed(raised: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    recorded: list[Event] = []
    seen: list[Event] = []

    def fails(_: Event) -> None:
        raise raised

    pump = EventPump(None, recorded.append, [fails, seen.append])
    pump._deliver(ENDS[0])
    pump._deliver(ENDS[0])
    assert recorded == seen == ENDS[:1] * 2
    assert pump.error is None
    assert caplog.messages == ["an observer failed and was removed"]
