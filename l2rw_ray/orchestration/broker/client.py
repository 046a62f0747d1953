"""The broker actor, as the driver's searcher uses it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import ray

from l2rw_ray.config import PlannedTrial, Resources
from l2rw_ray.errors import InfrastructureError
from l2rw_ray.events import TrialEnded
from l2rw_ray.results.trial_result import SCHEDULER


@dataclass(frozen=True)
class BrokerDesk:
    """Hands trials to the broker actor, once they have been taken note of."""

    broker: Any
    begin: Callable[[PlannedTrial], None]

    def submit(self, trial: PlannedTrial) -> None:
        """See `Desk`."""
        self.begin(trial)
        ray.get(self.broker.submit.remote(trial))

    def complete(self, resources: Resources) -> None:
        """See `Desk`."""
        self.broker.complete.remote(resources)

    def cancel(self, trial_id: str) -> None:
        """See `Desk`."""
        ray.get(self.broker.cancel.remote([trial_id], SCHEDULER))

    def end_of(self, trial_id: str) -> TrialEnded | None:
        """See `Desk`."""
        events = ray.get(self.broker.events_of.remote(trial_id, 0, 0.0, at_its_end=True))
        if events is None:
            raise InfrastructureError("no lane is left")
        return events[-1] if events else None


class Desk(Protocol):
    """The broker, as the searcher sees it."""

    def submit(self, trial: PlannedTrial) -> None:
        """Let a trial wait for a lane."""

    def complete(self, resources: Resources) -> None:
        """Say that no more trials of a kind will come."""

    def cancel(self, trial_id: str) -> None:
        """Have a trial stopped at its next report."""

    def end_of(self, trial_id: str) -> TrialEnded | None:
        """The last event of a trial, None while there is none."""
