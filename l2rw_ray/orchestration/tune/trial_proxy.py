"""Ray Tune's side of a trial: a thin function that follows it at the broker and relays its reports."""

from collections.abc import Sequence
from typing import Any

from ray import tune

from l2rw_ray.events import EpochCompleted, Event, TrialEnded, TrialStarted
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.orchestration.tune.searcher import LOST, RUNNING, STATUS, TIME

_EVENTS_WAIT_S = 30.0


def relay_trial(config: dict[str, Any], broker: BrokerClient, *, relay_epochs: bool) -> None:
    """Relay a trial's end and, when a scheduler uses them, its epochs to Tune.

    Args:
        config: `{"trial_id": …}`, of a trial that was submitted to the broker.
        broker: Source of the trial's events.
        relay_epochs: Whether a scheduler judges running trials. Without one, nothing else uses epochs, and
            Tune's loop takes more of a core than a small trial does.
    """
    trial_id, epochs, seen = config["trial_id"], 0, 0
    while True:
        events = broker.events_of(trial_id, seen, _EVENTS_WAIT_S, only_at_end=not relay_epochs)
        if events is None:
            tune.report({STATUS: LOST})
            return
        seen += len(events)
        epochs = next((event.epochs for event in events if isinstance(event, TrialStarted)), epochs)
        report = _latest(events, epochs)
        if report is not None:
            tune.report(report)
            if report[STATUS] != RUNNING:
                return


def _latest(events: Sequence[Event], epochs: int) -> dict[str, Any] | None:
    """Return the report of the newest event only, since every report waits for Tune's loop.

    The last epoch is reported with the end, so that Tune cannot stop a trial that has finished.
    """
    match events:
        case [*_, TrialEnded() as end]:
            outcome = {STATUS: end.status.value, "reason": end.error, "duration_s": end.duration_s}
            return {**end.metrics, TIME: end.epochs, **outcome}
        case [*_, EpochCompleted() as last] if last.epoch < epochs:
            return {**last.metrics, TIME: last.epoch, STATUS: RUNNING}
    return None
