"""The broker actor, as the driver's searcher uses it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray

from l2rw_ray.config import PlannedTrial, Resources
from l2rw_ray.errors import InfrastructureError
from l2rw_ray.events import TrialEnded
from l2rw_ray.results.trial_result import SCHEDULER


@dataclass(frozen=True)
class BrokerClient:
    """Calls the broker actor from the driver.

    Attributes:
        broker: Handle of the actor.
        begin: Records a trial before it is queued.
    """

    broker: Any
    begin: Callable[[PlannedTrial], None]

    def submit(self, trial: PlannedTrial) -> None:
        """Put a trial into the queue of its worker groups."""
        self.begin(trial)
        ray.get(self.broker.submit.remote(trial))

    def complete(self, resources: Resources) -> None:
        """Declare that no more trials for these resources will come."""
        self.broker.complete.remote(resources)

    def cancel(self, trial_id: str) -> None:
        """Stop a trial at its next report."""
        ray.get(self.broker.cancel.remote([trial_id], SCHEDULER))

    def end_of(self, trial_id: str) -> TrialEnded | None:
        """Return the last event of a trial; None while it has not ended."""
        events = ray.get(self.broker.events_of.remote(trial_id, 0, 0.0, at_its_end=True))
        if events is None:
            raise InfrastructureError("no worker group is left")
        return events[-1] if events else None
