"""The only way to the broker actor: `BrokerClient` calls it from the driver and the workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from l2rw_ray.config import Limits, PlannedTrial, Resources
from l2rw_ray.events import Event, Verdict
from l2rw_ray.orchestration.broker.actor import Broker
from l2rw_ray.orchestration.broker.failure_policy import Fault
from l2rw_ray.orchestration.broker.trial_queue import EndedGroup, Lease, PendingTrials, WorkerGroupCommand

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

    # Called by workers

    def lease(self, group: str, resources: Resources, wait_s: float) -> Lease | WorkerGroupCommand:
        """Lease the next trial, or return what to do instead.

        Args:
            group: Name of the worker group.
            resources: Resources of the group, which are those of its trials.
            wait_s: How long to wait for a trial.
        """
        order: Lease | WorkerGroupCommand = ray.get(self.actor.lease.remote(group, resources, wait_s))
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

    # Called by the worker groups' pool

    def pending(self) -> dict[Resources, PendingTrials]:
        """Return the numbers of waiting and running trials and of idle worker groups, by resources."""
        pending: dict[Resources, PendingTrials] = ray.get(self.actor.pending.remote())
        return pending

    def release(self, groups: frozenset[str], number: int) -> None:
        """Let worker groups leave after their trial, in place of what was said before; does not wait.

        Args:
            groups: Names of the groups; the first ones that ask for a trial leave.
            number: How many leave, including those that have been told to and have not ended yet.
        """
        self.actor.release.remote(groups, number)

    def group_ended(self, group: str, fault: Fault | None) -> EndedGroup:
        """Take back the trial of a worker group that has ended, before new workers ask for one.

        Args:
            group: Name of the worker group, which never gets a trial again.
            fault: Why it lost its workers; None for one that left.
        """
        ended: EndedGroup = ray.get(self.actor.group_ended.remote(group, fault))
        return ended

    # Called by the driver

    def drain(self, wait_s: float, gather_s: float) -> list[Event]:
        """Return the events of all trials since the last call.

        Args:
            wait_s: How long to wait for the first one.
            gather_s: How long to wait for more of them, unless a trial has ended.
        """
        events: list[Event] = ray.get(self.actor.drain.remote(wait_s, gather_s))
        return events

    def interrupt(self, wait_s: float) -> bool:
        """Stop all trials; wait at most this long for them. Returns whether all have stopped."""
        stopped: bool = ray.get(self.actor.interrupt.remote(wait_s))
        return stopped

    def interrupt_async(self) -> None:
        """Stop all trials; does not wait."""
        self.actor.interrupt.remote(0.0)

    def close(self) -> None:
        """Tell worker groups to exit once the queue is empty; does not wait."""
        self.actor.close.remote()
