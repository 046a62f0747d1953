"""The only way to the broker actor: `BrokerClient` calls it from the driver, its proxies and the workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from l2rw_ray.config import Limits, PlannedTrial, Resources
from l2rw_ray.errors import InfrastructureError
from l2rw_ray.events import Event, TrialEnded, Verdict
from l2rw_ray.orchestration.broker.actor import Broker
from l2rw_ray.orchestration.broker.failure_policy import Fault
from l2rw_ray.orchestration.broker.trial_queue import Lease, PendingTrials, WorkerGroupCommand

_ALL_RANKS_WITHIN_S = 10.0


@dataclass(frozen=True)
class BrokerClient:
    """Typed calls to the broker actor; can be pickled to other processes of the cluster.

    Methods wait for the broker's answer unless they say otherwise, and raise `ray.exceptions.RayError`
    when the broker is lost.

    Attributes:
        actor: Handle of the actor.
    """

    actor: Any

    @classmethod
    def start(cls, limits: Limits) -> Self:
        """Start a broker on the driver's own node, which no cluster removes while the driver runs.

        Args:
            limits: Limits of a trial.
        """
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        return cls(ray.remote(num_cpus=0, scheduling_strategy=here)(Broker).remote(limits))

    # Called by the searcher

    def submit(self, trial: PlannedTrial) -> None:
        """Put a trial into the queue."""
        ray.get(self.actor.submit.remote(trial))

    def complete(self, resources: Resources) -> None:
        """Declare that no more trials for these resources will come; does not wait."""
        self.actor.complete.remote(resources)

    def cancel(self, trial_id: str, reason: str) -> None:
        """Stop a trial at its next report.

        Args:
            trial_id: The trial.
            reason: The reason to record.
        """
        ray.get(self.actor.cancel.remote([trial_id], reason))

    def end_of(self, trial_id: str) -> TrialEnded | None:
        """Return the last event of a trial; None while it has not ended.

        Raises:
            InfrastructureError: The run was given up.
        """
        events = self.events_of(trial_id, 0, 0.0, only_at_end=True)
        if events is None:
            raise InfrastructureError("no worker group is left")
        end = events[-1] if events else None
        assert end is None or isinstance(end, TrialEnded)
        return end

    # Called by trial proxies

    def events_of(self, trial_id: str, start: int, wait_s: float, *, only_at_end: bool) -> list[Event] | None:
        """Return a trial's new events: an empty list after the time-out, None when the run was given up.

        Args:
            trial_id: The trial.
            start: How many of its events are known already.
            wait_s: Time-out.
            only_at_end: Wait for the trial's last event rather than for any.
        """
        events: list[Event] | None = ray.get(
            self.actor.events_of.remote(trial_id, start, wait_s, only_at_end=only_at_end)
        )
        return events

    # Called by workers

    def register_placement(self, group: str, placement: Any) -> None:
        """Record the placement group of a worker group."""
        ray.get(self.actor.register_placement.remote(group, placement))

    def lease(
        self, group: str, incarnation: str, resources: Resources, wait_s: float
    ) -> Lease | WorkerGroupCommand:
        """Lease the next trial, or return what to do instead.

        Args:
            group: Name of the worker group.
            incarnation: Identifies one start of the group; only the latest gets trials.
            resources: Resources of the group, which are those of its trials.
            wait_s: How long to wait for a trial.
        """
        order: Lease | WorkerGroupCommand = ray.get(
            self.actor.lease.remote(group, incarnation, resources, wait_s)
        )
        return order

    def report(self, events: Sequence[Event], attempt: int) -> Verdict:
        """Record events of one trial, at least one. Returns whether the trial continues."""
        verdict: Verdict = ray.get(self.actor.report.remote(events, attempt))
        return verdict

    def fail(
        self,
        lease: Lease,
        rank: int,
        error: str,
        traceback: str,
        *,
        wait_s: float = _ALL_RANKS_WITHIN_S,
        timeout_s: float | None = None,
    ) -> bool:
        """Record a failure on one rank. Returns whether all ranks have failed.

        Args:
            lease: The attempt that failed.
            rank: Where it failed.
            error: The error in one line.
            traceback: The traceback, or the stacks of all threads.
            wait_s: How long the broker waits for the other ranks.
            timeout_s: Time-out of the call; None waits until the broker answers.

        Raises:
            ray.exceptions.GetTimeoutError: The broker did not answer in time.
        """
        failure = self.actor.fail.remote(lease.trial.trial_id, lease.attempt, rank, error, traceback, wait_s)
        all_failed: bool = ray.get(failure, timeout=timeout_s)
        return all_failed

    # Called by the worker groups' pool and Ray Train's controller

    def pending(self) -> dict[Resources, PendingTrials]:
        """Return the numbers of waiting and running trials, by resources."""
        pending: dict[Resources, PendingTrials] = ray.get(self.actor.pending.remote())
        return pending

    def has_pending(self, resources: Resources) -> bool:
        """Wait until a trial needs these resources. Returns False when none will any more."""
        has_pending: bool = ray.get(self.actor.has_pending.remote(resources))
        return has_pending

    def note_loss(self, group: str, fault: Fault, *, timeout_s: float | None = None) -> None:
        """Record that a worker group lost its workers, before new ones ask for a trial.

        Args:
            group: Name of the worker group.
            fault: Why it lost them.
            timeout_s: Time-out of the call; None waits until the broker answers.

        Raises:
            ray.exceptions.GetTimeoutError: The broker did not answer in time.
        """
        ray.get(self.actor.note_loss.remote(group, fault), timeout=timeout_s)

    def group_ended(self, group: str) -> Any:
        """Record that a worker group ended. Returns its placement group; None when it had none."""
        return ray.get(self.actor.group_ended.remote(group))

    # Called by the driver

    def drain(self, wait_s: float) -> list[Event]:
        """Return the events of all trials since the last call; wait at most this long for the first."""
        events: list[Event] = ray.get(self.actor.drain.remote(wait_s))
        return events

    def interrupt(self, wait_s: float) -> bool:
        """Stop all trials; wait at most this long for them. Returns whether all have stopped."""
        stopped: bool = ray.get(self.actor.interrupt.remote(wait_s))
        return stopped

    def interrupt_async(self) -> None:
        """Stop all trials; does not wait."""
        self.actor.interrupt.remote(0.0)

    def give_up(self) -> None:
        """Release the waiting trial proxies, since no worker group is left; does not wait."""
        self.actor.give_up.remote()

    def close(self) -> None:
        """Tell worker groups to exit once the queue is empty; does not wait."""
        self.actor.close.remote()
