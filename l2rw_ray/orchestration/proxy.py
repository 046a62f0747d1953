"""Ray Tune's side of a trial: a thin function that hands it to the broker and relays its reports."""

from collections.abc import Sequence
from typing import Any

import ray
from ray import tune

from l2rw_ray.config import PlannedTrial
from l2rw_ray.events import EpochCompleted, TrialEnded

_EVENTS_WAIT_S = 30.0


def follow_trial(config: dict[str, Any], broker: Any, trials: Sequence[PlannedTrial]) -> None:
    """Submit one planned trial and relay its latest epoch to Tune, again and again, until it ends.

    Args:
        config: `{"row": position in trials}`.
        broker: Handle of the broker actor.
        trials: The trials of this run.
    """
    trial = trials[config["row"]]
    ray.get(broker.submit.remote(trial))
    seen = 0
    while True:
        events = ray.get(broker.events_of.remote(trial.trial_id, seen, _EVENTS_WAIT_S))
        if events is None:
            return
        seen += len(events)
        epochs = [event for event in events if isinstance(event, EpochCompleted)]
        if epochs:  # only the last of those that came meanwhile: each report waits for Tune's loop
            last = epochs[-1]
            tune.report({**last.metrics, "epoch": last.epoch, "step": last.step})
        if any(isinstance(event, TrialEnded) for event in events):
            return
