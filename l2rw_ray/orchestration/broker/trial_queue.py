"""Which trial is waiting, under way or ended, and what it has told: the broker without its waiting."""

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
    without_arrays,
)
from l2rw_ray.orchestration.broker.failure_policy import Fault, failure_reason
from l2rw_ray.orchestration.watchdog import HANG_GRACE_S, TrialPosition, duration_error


class WorkerGroupCommand(StrEnum):
    """What a worker group does when it is given no trial."""

    WAIT = "wait"
    LEAVE = "leave"


@dataclass(frozen=True)
class Lease:
    """A trial, given to one worker group."""

    trial: PlannedTrial
    attempt: int


@dataclass(frozen=True)
class PendingTrials:
    """Trials of one kind of resources.

    Attributes:
        left: Those that no worker group has; None where their number is not known.
        leased: Those that worker groups have.
    """

    left: int | None
    leased: int = 0


@dataclass
class _TrialState:
    lease: Lease
    events: list[Event] = field(default_factory=list)
    stop_reason: str | None = None
    failed_ranks: set[int] = field(default_factory=set)
    ended: bool = False
    leased_at: float = 0.0
    fault: Fault = Fault.WORKER_LOST
    furthest: int = 0
    attempts_without_progress: int = 0


class TrialQueue:
    """Keeps every trial in exactly one of three places: waiting, leased to one worker group, or ended.

    Args:
        limits: What a trial may take.
        clock: Seconds since some moment.
    """

    def __init__(self, limits: Limits = Limits(), clock: Callable[[], float] = monotonic) -> None:  # noqa: B008  # frozen
        self._limits, self._clock = limits, clock
        self._entries: dict[str, _TrialState] = {}
        self._waiting: dict[Resources, deque[str]] = {}
        self._held: dict[str, str] = {}
        self._incarnations: dict[str, list[str]] = {}
        self._log: list[Event] = []
        self._complete: set[Resources] = set()
        self._closed = False

    def submit(self, trial: PlannedTrial) -> None:
        """Let a trial wait for a worker group."""
        known = self._entries.get(trial.trial_id)
        assert known is None or known.ended, "a trial waits or is under way once"
        self._entries[trial.trial_id] = _TrialState(Lease(trial, attempt=1))
        self._queue(trial).append(trial.trial_id)

    def complete(self, resources: Resources) -> None:
        """Let the worker groups of one kind leave once no trial waits for them: no other will come."""
        self._complete.add(resources)

    def lease(self, group: str, incarnation: str, resources: Resources) -> Lease | WorkerGroupCommand:
        """The next trial for a worker group that is free, or that has just been started again.

        A worker group that asks while it still holds a trial has lost its workers: it gets the same trial
        again, unless that has been lost too often.

        Args:
            group: Name of the worker group.
            incarnation: Identifies one start of the group; one that was replaced gets LEAVE.
            resources: What its workers take: it trains trials that ask for just that.
        """
        incarnations = self._incarnations.setdefault(group, [])
        if incarnation not in incarnations:
            incarnations.append(incarnation)
        if incarnation != incarnations[-1]:
            return WorkerGroupCommand.LEAVE
        lost = self._held.pop(group, None)
        if lost is not None:
            self._after_loss(lost)
        if self.is_waiting(resources):
            trial_id = self._waiting[resources].popleft()
            self._held[group] = trial_id
            entry = self._entries[trial_id]
            entry.leased_at, entry.fault = self._clock(), Fault.WORKER_LOST
            return entry.lease
        return WorkerGroupCommand.LEAVE if self.is_over(resources) else WorkerGroupCommand.WAIT

    def report(self, event: Event, attempt: int) -> Verdict:
        """Take an event of a trial under way and say whether it shall go on.

        A worker thought lost that reports after all is told to stop, and is not recorded.
        """
        entry = self._entries[event.trial_id]
        if entry.ended or attempt != entry.lease.attempt:
            return Verdict.STOP
        if isinstance(event, TrialEnded):
            stopped = event.status is TrialStatus.STOPPED
            self._end(replace(event, error=entry.stop_reason) if stopped else event)
        else:
            self._record(event)
        return Verdict.STOP if entry.stop_reason else Verdict.CONTINUE

    def fail(self, trial_id: str, attempt: int, rank: int, error: str, traceback: str) -> None:
        """Take the exception that a trial raised on one rank; that of a lost attempt is ignored."""
        entry = self._entries[trial_id]
        if attempt != entry.lease.attempt:
            return
        entry.failed_ranks.add(rank)
        if not entry.ended:
            self._end_early(trial_id, TrialStatus.FAILED, error, traceback)

    def all_ranks_failed(self, trial_id: str) -> bool:
        """Whether every rank has reported the failure."""
        entry = self._entries[trial_id]
        return len(entry.failed_ranks) == entry.lease.trial.resources.workers

    def cancel(self, trial_ids: Sequence[str], reason: str) -> None:
        """Stop trials: those under way at their next report, those that wait at once.

        One that has told nothing yet leaves no record.
        """
        for trial_id in trial_ids:
            entry = self._entries.get(trial_id)
            if entry is not None and not entry.ended:
                entry.stop_reason = reason
                if trial_id in self._queue(entry.lease.trial):
                    self._queue(entry.lease.trial).remove(trial_id)
                    if entry.events:
                        self._end_early(trial_id, TrialStatus.STOPPED, reason, None)
                    entry.ended = True

    def note_loss(self, group: str, fault: Fault) -> None:
        """Take note of why a worker group has lost its workers, before others ask for its trial.

        The first reason counts: what follows may only follow from it. A trial that had its worker group for
        longer than it may was not lost: its process ended itself, when nothing else could.
        """
        entry = self._entries.get(self._held.get(group, ""))
        if entry is None or entry.fault is not Fault.WORKER_LOST:
            return
        entry.fault, limit_s = fault, self._limits.duration_s
        if limit_s is not None and self._clock() - entry.leased_at >= limit_s + HANG_GRACE_S:
            entry.fault = Fault.OVER_LIMIT

    def group_ended(self, group: str) -> None:
        """Note that a worker group will not come back; its trial waits for another one."""
        lost = self._held.pop(group, None)
        if lost is not None:
            self._after_loss(lost)

    def close(self) -> None:
        """Send worker groups home once nothing waits."""
        self._closed = True

    def is_waiting(self, resources: Resources) -> bool:
        """Whether a trial waits for a worker group of this kind."""
        return bool(self._waiting.get(resources))

    def is_over(self, resources: Resources) -> bool:
        """Whether worker groups of this kind that find no trial shall leave."""
        return self._closed or resources in self._complete

    def pending(self) -> dict[Resources, PendingTrials]:
        """How many trials wait for a worker group, and how many have one, by what they run on."""
        leased = Counter(self._entries[trial_id].lease.trial.resources for trial_id in self._held.values())
        return {kind: PendingTrials(len(queue), leased[kind]) for kind, queue in self._waiting.items()}

    @property
    def has_news(self) -> bool:
        """Whether `drain` would return anything."""
        return bool(self._log)

    def unfinished(self) -> tuple[str, ...]:
        """Trials that have not ended."""
        return tuple(trial_id for trial_id, entry in self._entries.items() if not entry.ended)

    def under_way(self) -> tuple[str, ...]:
        """Trials that a worker group holds."""
        return tuple(self._held.values())

    def events_of(self, trial_id: str, start: int) -> list[Event]:
        """A trial's events from the given position on."""
        entry = self._entries.get(trial_id)
        return entry.events[start:] if entry else []

    def drain(self) -> list[Event]:
        """All trials' events since the last call, in the order they came."""
        log, self._log = self._log, []
        return log

    def _queue(self, trial: PlannedTrial) -> deque[str]:
        return self._waiting.setdefault(trial.resources, deque())

    def _record(self, event: Event) -> None:
        self._entries[event.trial_id].events.append(without_arrays(event))
        self._log.append(event)

    def _end(self, event: TrialEnded) -> None:
        entry = self._entries[event.trial_id]
        entry.ended = True
        for group in [group for group, held in self._held.items() if held == event.trial_id]:
            del self._held[group]
        self._record(event)

    def _after_loss(self, trial_id: str) -> None:
        entry = self._entries[trial_id]
        if entry.stop_reason:
            self._end_early(trial_id, TrialStatus.STOPPED, entry.stop_reason, None)
            return
        error = duration_error(self._limits.duration_s or 0.0, _place(entry.events))
        told = len(_epochs_told(entry.events))
        entry.attempts_without_progress = 0 if told > entry.furthest else entry.attempts_without_progress + 1
        entry.furthest = max(entry.furthest, told)
        reason = failure_reason(entry.fault, entry.attempts_without_progress, error)
        if reason is not None:
            self._end_early(trial_id, TrialStatus.FAILED, reason, None)
            return
        self._log.append(AttemptLost(trial_id, entry.lease.attempt, entry.fault.value))
        entry.lease = Lease(entry.lease.trial, entry.lease.attempt + 1)
        entry.failed_ranks.clear()
        self._queue(entry.lease.trial).appendleft(trial_id)

    def _end_early(self, trial_id: str, status: TrialStatus, error: str, traceback: str | None) -> None:
        """End a trial in the broker's own words, with what it told of its last attempt."""
        epochs = _epochs_told(self._entries[trial_id].events)
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


def _place(events: Sequence[Event]) -> TrialPosition:
    place = TrialPosition()
    for event in events:
        place.note(event)
    return place


def _epochs_told(events: Sequence[Event]) -> list[EpochCompleted]:
    """The epochs of a trial's last attempt, those it resumed from included."""
    epochs: list[EpochCompleted] = []
    for event in events:
        if isinstance(event, TrialStarted):
            epochs = list(event.history)
        elif isinstance(event, EpochCompleted):
            epochs.append(event)
    return epochs
