"""A failing ledger ends the run; another failing observer is removed."""

from types import SimpleNamespace

import pytest
import ray.exceptions

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

    losses: list[bool] = []
    pump = EventPump(broker, ledger, [seen.append], 0.2, lambda: losses.append(True))
    for event in ENDS:
        pump._deliver(event)
    assert seen == recorded == ENDS[:1]
    assert str(pump.error) == "disk full"
    assert interrupts == losses == [True]


@pytest.mark.parametrize("raised", [ValueError("odd"), SystemExit(1)])  # the latter of a closed pipe
def test_an_observer_that_fails_is_removed(raised: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    recorded: list[Event] = []
    seen: list[Event] = []

    def fails(_: Event) -> None:
        raise raised

    pump = EventPump(None, recorded.append, [fails, seen.append], 0.2, lambda: None)
    pump._deliver(ENDS[0])
    pump._deliver(ENDS[0])
    assert recorded == seen == ENDS[:1] * 2
    assert pump.error is None
    assert caplog.messages == ["an observer failed and was removed"]


def test_a_run_hears_that_its_broker_is_lost() -> None:
    def drain(*_: float) -> list[Event]:
        raise ray.exceptions.ActorDiedError

    losses: list[bool] = []
    pump = EventPump(SimpleNamespace(drain=drain), lambda _: None, [], 0.2, lambda: losses.append(True))
    pump.start()
    pump.finish()
    assert losses == [True]
