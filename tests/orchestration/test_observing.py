"""What was not recorded is told to nobody, and ends the run."""

from types import SimpleNamespace

from l2rw_ray.events import Event, TrialEnded, TrialStatus
from l2rw_ray.orchestration.observing import EventPump

ENDS = [TrialEnded(name, TrialStatus.COMPLETED, 1, 3, 1.0) for name in "abc"]


def test_an_end_that_was_not_recorded_is_told_to_nobody() -> None:
    stops: list[float] = []
    broker = SimpleNamespace(interrupt=SimpleNamespace(remote=stops.append))
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
    assert stops == [0.0]
