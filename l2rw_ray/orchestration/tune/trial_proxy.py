"""Ray Tune's side of a trial: a thin function that follows it at the broker and relays its reports."""

from typing import Any

import ray
from ray import tune

from l2rw_ray.events import EpochCompleted, Event, TrialEnded, TrialStarted
from l2rw_ray.orchestration.tune.searcher import LOST, RUNNING, STATUS, TIME

_EVENTS_WAIT_S = 30.0


def relay_trial(config: dict[str, Any], broker: Any, *, tells_epochs: bool) -> None:
    """Relay to Tune how a trial ended and, where that can stop it, its latest epoch again and again.

    Args:
        config: `{"trial_id": …}`, of a trial that the broker has.
        broker: Handle of the broker actor.
        tells_epochs: Whether a scheduler judges trials under way. Nobody else needs to know, and Tune's
            loop takes more of a core than a small trial does.
    """
    trial_id, epochs, seen = config["trial_id"], 0, 0
    while True:
        news = broker.events_of.remote(trial_id, seen, _EVENTS_WAIT_S, at_its_end=not tells_epochs)
        events = ray.get(news)
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


def _latest(events: list[Event], epochs: int) -> dict[str, Any] | None:
    """What Tune needs to know of the newest events: each report waits for Tune's loop.

    The last epoch is not told apart from the end, lest Tune stop what has finished.
    """
    match events:
        case [*_, TrialEnded() as end]:
            outcome = {STATUS: end.status.value, "reason": end.error, "duration_s": end.duration_s}
            return {**end.metrics, TIME: end.epochs, **outcome}
        case [*_, EpochCompleted() as last] if last.epoch < epochs:
            return {**last.metrics, TIME: last.epoch, STATUS: RUNNING}
    return None
