"""Actor that hands trials to worker groups and collects their events; `BrokerClient` calls it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from l2rw_ray.config import Limits, PlannedTrial, Resources
from l2rw_ray.events import Event, Verdict
from l2rw_ray.orchestration.broker.failure_policy import Fault
from l2rw_ray.orchestration.broker.trial_queue import (
    EndedGroup,
    Lease,
    PendingTrials,
    TrialQueue,
    WorkerGroupCommand,
)
from l2rw_ray.results.trial_result import INTERRUPTED

_T = TypeVar("_T")


class Broker:
    """A trial queue that several processes share; calls that ask for something wait for it up to a time-out.

    It runs as an asyncio actor: one thread, so that the queue needs no lock.

    Args:
        limits: Limits of a trial.
    """

    def __init__(self, limits: Limits) -> None:
        self._queue = TrialQueue(limits)
        self._changed = asyncio.Condition()

    async def submit(self, trial: PlannedTrial) -> None:
        """Put a trial into the queue."""
        await self._change(lambda: self._queue.submit(trial))

    async def complete(self, resources: Resources) -> None:
        """Declare that no more trials for these resources will come; idle worker groups exit."""
        await self._change(lambda: self._queue.complete(resources))

    async def lease(self, group: str, resources: Resources, wait_s: float) -> Lease | WorkerGroupCommand:
        """Lease a trial to a worker group, or return what it does without one after `wait_s` seconds."""
        order = await self._change(lambda: self._queue.lease(group, resources))
        if order is WorkerGroupCommand.WAIT:
            await self._wait_for(lambda: self._has_order_for(group, resources), wait_s)
            order = await self._change(lambda: self._queue.lease(group, resources))
        return order

    async def report(self, events: Sequence[Event], attempt: int) -> Verdict:
        """Record events of one trial, at least one. Returns whether the trial continues."""
        return await self._change(lambda: [self._queue.report(event, attempt) for event in events][-1])

    async def fail(
        self, trial_id: str, attempt: int, rank: int, error: str, traceback: str, wait_s: float
    ) -> bool:
        """Record a failure on one rank. Returns whether all ranks have failed within `wait_s`."""
        await self._change(lambda: self._queue.fail(trial_id, attempt, rank, error, traceback))
        return await self._wait_for(lambda: self._queue.all_ranks_failed(trial_id), wait_s)

    async def drain(self, wait_s: float, gather_s: float) -> list[Event]:
        """Return all events since the last call, once there are any or the broker is closed.

        Args:
            wait_s: How long to wait for the first one.
            gather_s: How long to wait for more of them, unless a trial has ended.
        """
        if await self._wait_for(lambda: self._queue.has_news or self._queue.is_closed, wait_s):
            await self._wait_for(lambda: self._queue.has_end or self._queue.is_closed, gather_s)
        return self._queue.drain()

    async def cancel(self, trial_ids: Sequence[str], reason: str) -> None:
        """Stop trials at their next report."""
        await self._change(lambda: self._queue.cancel(trial_ids, reason))

    async def interrupt(self, wait_s: float) -> bool:
        """Stop all trials. Returns whether no trial is running after `wait_s`."""
        await self._change(lambda: self._queue.cancel(self._queue.unfinished(), INTERRUPTED))
        return await self._wait_for(lambda: not self._queue.running(), wait_s)

    async def pending(self) -> dict[Resources, PendingTrials]:
        """Return the numbers of waiting and running trials, by resources."""
        return self._queue.pending()

    async def release(self, groups: frozenset[str], number: int) -> None:
        """Let worker groups leave after their trial."""
        await self._change(lambda: self._queue.release(groups, number))

    async def group_ended(self, group: str, fault: Fault | None) -> EndedGroup:
        """Take back the trial of a worker group that has ended."""
        return await self._change(lambda: self._queue.group_ended(group, fault))

    async def close(self) -> None:
        """Tell worker groups to exit once the queue is empty."""
        await self._change(self._queue.close)

    def _has_order_for(self, group: str, resources: Resources) -> bool:
        has_news = self._queue.is_waiting(resources) or self._queue.is_complete(resources)
        return has_news or self._queue.is_released(group)

    async def _change(self, change: Callable[[], _T]) -> _T:
        async with self._changed:
            result = change()
            self._changed.notify_all()
        return result

    async def _wait_for(self, condition: Callable[[], bool], wait_s: float) -> bool:
        async with self._changed:
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait_for(condition)
            except TimeoutError:
                return condition()
        return True
