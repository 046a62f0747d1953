"""State of every trial (waiting, leased, ended) and its events. Pure; `Broker` adds the waiting."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from time import monotonic

from l2rw_ray.config import Limits, PlannedTrial, Resources
from l2rw_ray.events import (
    AttemptLost,
    EpochCompleted,
    Event,
    TrialEnded,
    TrialStarted,
    TrialStatus,
    Verdict,
    status_of_error,
    without_arrays,
)
from l2rw_ray.orchestration.broker.failure_policy import Fault, failure_reason
from l2rw_ray.orchestration.watchdog import HANG_GRACE_S, TrialPosition, duration_error


class WorkerGroupCommand(StrEnum):
    """What a worker group does when it gets no trial."""

    WAIT = "wait"
    LEAVE = "leave"


@dataclass(frozen=True)
class Lease:
    """One attempt at a trial, given to one worker group."""

    trial: PlannedTrial
    attempt: int


@dataclass(frozen=True)
class PendingTrials:
    """Numbers of trials that need the same resources.

    Attributes:
        waiting: Trials without a worker group; None when their number is unknown.
        running: Trials that worker groups hold.
        idle: Worker groups that have asked for a trial and wait for one.
    """

    waiting: int | None
    running: int = 0
    idle: int = 0


@dataclass(frozen=True)
class EndedGroup:
    """What a worker group had come to when it ended.

    Attributes:
        has_joined: Whether it had ever asked for a trial; one that had not could not start.
        held_trial: Whether it held a trial.
    """

    has_joined: bool
    held_trial: bool


@dataclass
class _TrialState:
    lease: Lease
    events: list[Event] = field(default_factory=list)
    stop_reason: str | None = None
    failed_ranks: set[int] = field(default_factory=set)
    ended: bool = False
    leased_at: float = 0.0
    furthest: int = 0
    attempts_without_progress: int = 0


class TrialQueue:
    """Keeps every trial in exactly one of three places: waiting, leased to one worker group, or ended.

    Args:
        limits: Limits of a trial.
        clock: Monotonic time in seconds.
    """

    def __init__(self, limits: Limits = Limits(), clock: Callable[[], float] = monotonic) -> None:  # noqa: B008  # frozen
        self._limits, self._clock = limits, clock
        self._states: dict[str, _TrialState] = {}
        self._waiting: dict[Resources, deque[str]] = {}
        self._held: dict[str, str] = {}
        self._joined: dict[str, Resources] = {}
        self._gone: set[str] = set()
        self._may_leave: frozenset[str] = frozenset()
        self._leaving: set[str] = set()
        self._most_leaving = 0
        self._log: list[Event] = []
        self._complete: set[Resources] = set()
        self._closed = False

    def submit(self, trial: PlannedTrial) -> None:
        """Put a trial into the queue."""
        known = self._states.get(trial.trial_id)
        assert known is None or known.ended, "a trial is in the queue at most once"
        self._states[trial.trial_id] = _TrialState(Lease(trial, attempt=1))
        self._queue(trial).append(trial.trial_id)

    def complete(self, resources: Resources) -> None:
        """Declare that no more trials for these resources will come; idle worker groups exit."""
        self._complete.add(resources)

    def lease(self, group: str, resources: Resources) -> Lease | WorkerGroupCommand:
        """Lease the next trial to an idle worker group, or return what it does without one.

        Args:
            group: Name of the worker group; one that has ended, of which some process still runs, gets LEAVE.
            resources: Resources of the group, which are those of its trials.
        """
        if group in self._gone:
            return WorkerGroupCommand.LEAVE
        self._joined[group] = resources
        if self.is_released(group):
            self._leaving.add(group)
            return WorkerGroupCommand.LEAVE
        assert group not in self._held, "a worker group holds one trial at a time"
        if self.is_waiting(resources):
            trial_id = self._waiting[resources].popleft()
            self._held[group] = trial_id
            state = self._states[trial_id]
            state.leased_at = self._clock()
            return state.lease
        return WorkerGroupCommand.LEAVE if self.is_complete(resources) else WorkerGroupCommand.WAIT

    def release(self, groups: frozenset[str], number: int) -> None:
        """Let worker groups leave after their trial, in place of what was said before.

        Args:
            groups: Names of the groups; the first ones that ask for a trial leave.
            number: How many leave, including those that have been told to and have not ended yet.
        """
        self._may_leave, self._most_leaving = groups, number

    def is_released(self, group: str) -> bool:
        """Return whether a worker group that asks for a trial leaves instead."""
        is_next = group in self._may_leave and len(self._leaving) < self._most_leaving
        return is_next or group in self._leaving

    def report(self, event: Event, attempt: int) -> Verdict:
        """Record an event of a running trial. Returns whether the trial continues.

        An event of an earlier attempt, from a worker that was believed lost, is not recorded; the answer
        is STOP.
        """
        state = self._states[event.trial_id]
        if state.ended or attempt != state.lease.attempt:
            return Verdict.STOP
        if isinstance(event, TrialEnded):
            stopped = event.status is TrialStatus.STOPPED
            self._end(replace(event, error=state.stop_reason) if stopped else event)
        else:
            self._record(event)
        return Verdict.STOP if state.stop_reason else Verdict.CONTINUE

    def fail(self, trial_id: str, attempt: int, rank: int, error: str, traceback: str) -> None:
        """Record a trial's failure on one rank; that of an earlier attempt is ignored."""
        state = self._states[trial_id]
        if attempt != state.lease.attempt:
            return
        state.failed_ranks.add(rank)
        if not state.ended:
            self._end_early(trial_id, status_of_error(error), error, traceback)

    def all_ranks_failed(self, trial_id: str) -> bool:
        """Return whether every rank has reported the failure."""
        state = self._states[trial_id]
        return len(state.failed_ranks) == state.lease.trial.resources.workers

    def cancel(self, trial_ids: Sequence[str], reason: str) -> None:
        """Stop trials: running ones at their next report, waiting ones at once.

        A trial without events leaves no record.
        """
        for trial_id in trial_ids:
            state = self._states.get(trial_id)
            if state is not None and not state.ended:
                state.stop_reason = reason
                if trial_id in self._queue(state.lease.trial):
                    self._queue(state.lease.trial).remove(trial_id)
                    if state.events:
                        self._end_early(trial_id, TrialStatus.STOPPED, reason, None)
                    state.ended = True

    def group_ended(self, group: str, fault: Fault | None) -> EndedGroup:
        """Take back the trial of a worker group that has ended, if it held one.

        The trial goes to the front of the queue, unless it has been lost too often. A trial that was leased
        for longer than its limit was not lost: its hung process has ended itself.

        Args:
            group: Name of the worker group, which never gets a trial again.
            fault: Why it lost its workers; None for one that left.
        """
        self._gone.add(group)
        if group in self._leaving | self._may_leave:  # no other one has to leave in its place
            self._most_leaving = max(self._most_leaving - 1, 0)
        self._leaving.discard(group)
        trial_id = self._held.pop(group, None)
        if trial_id is not None:
            limit_s, since_s = self._limits.duration_s, self._clock() - self._states[trial_id].leased_at
            is_over = limit_s is not None and since_s >= limit_s + HANG_GRACE_S
            self._after_loss(trial_id, Fault.OVER_LIMIT if is_over else fault or Fault.WORKER_LOST)
        return EndedGroup(group in self._joined, trial_id is not None)

    def close(self) -> None:
        """Tell worker groups to exit once the queue is empty."""
        self._closed = True

    @property
    def is_closed(self) -> bool:
        """Whether the run is over."""
        return self._closed

    def is_waiting(self, resources: Resources) -> bool:
        """Return whether a trial waits for these resources."""
        return bool(self._waiting.get(resources))

    def is_complete(self, resources: Resources) -> bool:
        """Return whether no more trials for these resources will be submitted."""
        return self._closed or resources in self._complete

    def pending(self) -> dict[Resources, PendingTrials]:
        """Return the numbers of waiting and running trials and of idle worker groups, by resources."""
        running = Counter(self._states[trial_id].lease.trial.resources for trial_id in self._held.values())
        idle = Counter(self._joined[group] for group in self._joined.keys() - self._held.keys() - self._gone)
        return {
            resources: PendingTrials(
                len(self._waiting.get(resources, ())), running[resources], idle[resources]
            )
            for resources in self._waiting.keys() | idle.keys()
        }

    @property
    def has_news(self) -> bool:
        """Whether `drain` would return anything."""
        return bool(self._log)

    @property
    def has_end(self) -> bool:
        """Whether `drain` would return the end of a trial."""
        return any(isinstance(event, TrialEnded) for event in self._log)

    def unfinished(self) -> tuple[str, ...]:
        """Return the trials that have not ended."""
        return tuple(trial_id for trial_id, state in self._states.items() if not state.ended)

    def running(self) -> tuple[str, ...]:
        """Return the trials that a worker group holds."""
        return tuple(self._held.values())

    def drain(self) -> list[Event]:
        """Return the events of all trials since the last call, in order of arrival."""
        log, self._log = self._log, []
        return log

    def _queue(self, trial: PlannedTrial) -> deque[str]:
        return self._waiting.setdefault(trial.resources, deque())

    def _record(self, event: Event) -> None:
        self._states[event.trial_id].events.append(without_arrays(event))
        self._log.append(event)

    def _end(self, event: TrialEnded) -> None:
        self._states[event.trial_id].ended = True
        for group in [group for group, held in self._held.items() if held == event.trial_id]:
            del self._held[group]
        self._log.append(event)
        self._states[event.trial_id].events.clear()  # nobody asks for them any more

    def _after_loss(self, trial_id: str, fault: Fault) -> None:
        """Requeue a trial whose attempt was lost, or end it."""
        state = self._states[trial_id]
        if state.stop_reason:
            self._end_early(trial_id, TrialStatus.STOPPED, state.stop_reason, None)
            return
        error = duration_error(self._limits.duration_s or 0.0, _position(state.events))
        epochs = len(_completed_epochs(state.events))
        state.attempts_without_progress = (
            0 if epochs > state.furthest else state.attempts_without_progress + 1
        )
        state.furthest = max(state.furthest, epochs)
        reason = failure_reason(fault, state.attempts_without_progress, error)
        if reason is not None:
            self._end_early(trial_id, TrialStatus.FAILED, reason, None)
            return
        self._log.append(AttemptLost(trial_id, state.lease.attempt, fault.value))
        state.lease = Lease(state.lease.trial, state.lease.attempt + 1)
        state.failed_ranks.clear()
        self._queue(state.lease.trial).appendleft(trial_id)

    def _end_early(self, trial_id: str, status: TrialStatus, error: str, traceback: str | None) -> None:
        """End a trial that did not report its end, with the metrics of its last epoch."""
        epochs = _completed_epochs(self._states[trial_id].events)
        last = epochs[-1] if epochs else None
        self._end(
            TrialEnded(
                trial_id=trial_id,
                status=status,
                epochs=last.epoch if last else 0,
                steps=last.step if last else 0,
                duration_s=sum(event.duration_s for event in epochs),
                metrics=last.metrics if last else {},
                error=error,
                traceback=traceback,
            )
        )


def _position(events: Sequence[Event]) -> TrialPosition:
    position = TrialPosition()
    for event in events:
        position.update(event)
    return position


def _completed_epochs(events: Sequence[Event]) -> list[EpochCompleted]:
    """Return the epochs of a trial's last attempt, including those it resumed from."""
    epochs: list[EpochCompleted] = []
    for event in events:
        if isinstance(event, TrialStarted):
            epochs = list(event.history)
        elif isinstance(event, EpochCompleted):
            epochs.append(event)
    return epochs
