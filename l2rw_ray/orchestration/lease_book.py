"""Which trial is waiting, under way or ended, and what it has told: the broker without its waiting."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from l2rw_ray.config import PlannedTrial
from l2rw_ray.events import EpochCompleted, Event, TrialEnded, TrialStatus, Verdict
from l2rw_ray.orchestration.failure_policy import GiveUp, after_worker_loss


class LaneOrder(StrEnum):
    """What a lane does when it is given no trial."""

    WAIT = "wait"
    LEAVE = "leave"


@dataclass(frozen=True)
class Lease:
    """A trial, given to one lane."""

    trial: PlannedTrial
    attempt: int


@dataclass
class _Entry:
    lease: Lease
    events: list[Event] = field(default_factory=list)
    stop_reason: str | None = None
    failed_ranks: set[int] = field(default_factory=set)
    ended: bool = False


class LeaseBook:
    """Keeps every trial in exactly one of three places: waiting, leased to one lane, or ended."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._waiting: deque[str] = deque()
        self._held: dict[str, str] = {}
        self._log: list[Event] = []
        self._closed = False

    def submit(self, trial: PlannedTrial) -> None:
        """Let a trial wait for a lane."""
        self._entries[trial.trial_id] = _Entry(Lease(trial, attempt=1))
        self._waiting.append(trial.trial_id)

    def lease(self, lane: str) -> Lease | LaneOrder:
        """The next trial for a lane that is free, or that has just been started again.

        A lane that asks while it still holds a trial has lost its workers: it gets the same trial
        again, unless that has been lost too often.
        """
        lost = self._held.pop(lane, None)
        if lost is not None:
            self._after_loss(lost)
        if self._waiting:
            trial_id = self._waiting.popleft()
            self._held[lane] = trial_id
            return self._entries[trial_id].lease
        return LaneOrder.LEAVE if self._closed else LaneOrder.WAIT

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

    def fail(self, trial_id: str, rank: int, error: str, traceback: str) -> bool:
        """Take the exception a trial raised on one rank.

        Returns:
            Whether every rank of the trial has now left it, so that its lane can go on.
        """
        entry = self._entries[trial_id]
        entry.failed_ranks.add(rank)
        if not entry.ended:
            self._end_failed(trial_id, error, traceback)
        return self.all_ranks_failed(trial_id)

    def all_ranks_failed(self, trial_id: str) -> bool:
        """Whether every rank has reported the failure."""
        entry = self._entries[trial_id]
        return len(entry.failed_ranks) == entry.lease.trial.resources.workers

    def cancel(self, trial_ids: Sequence[str], reason: str) -> None:
        """Stop trials: those under way at their next report, those that wait at once and silently."""
        for trial_id in trial_ids:
            entry = self._entries.get(trial_id)
            if entry is not None and not entry.ended:
                entry.stop_reason = reason
                if trial_id in self._waiting:
                    self._waiting.remove(trial_id)

    def lane_ended(self, lane: str) -> None:
        """Note that a lane will not come back; its trial waits for another one."""
        lost = self._held.pop(lane, None)
        if lost is not None:
            self._after_loss(lost)

    def close(self) -> None:
        """Send lanes home once nothing waits."""
        self._closed = True

    @property
    def is_waiting(self) -> bool:
        """Whether a trial waits for a lane."""
        return bool(self._waiting)

    @property
    def is_closed(self) -> bool:
        """Whether lanes that find no trial shall leave."""
        return self._closed

    @property
    def has_news(self) -> bool:
        """Whether `drain` would return anything."""
        return bool(self._log)

    def unfinished(self) -> tuple[str, ...]:
        """Trials that have not ended."""
        return tuple(trial_id for trial_id, entry in self._entries.items() if not entry.ended)

    def under_way(self) -> tuple[str, ...]:
        """Trials that a lane holds."""
        return tuple(self._held.values())

    def events_of(self, trial_id: str, start: int) -> list[Event]:
        """A trial's events from the given position on."""
        entry = self._entries.get(trial_id)
        return entry.events[start:] if entry else []

    def drain(self) -> list[Event]:
        """All trials' events since the last call, in the order they came."""
        log, self._log = self._log, []
        return log

    def _record(self, event: Event) -> None:
        self._entries[event.trial_id].events.append(event)
        self._log.append(event)

    def _end(self, event: TrialEnded) -> None:
        entry = self._entries[event.trial_id]
        entry.ended = True
        for lane in [lane for lane, held in self._held.items() if held == event.trial_id]:
            del self._held[lane]
        self._record(event)

    def _after_loss(self, trial_id: str) -> None:
        entry = self._entries[trial_id]
        if entry.stop_reason:
            return
        decision = after_worker_loss(entry.lease.attempt)
        if isinstance(decision, GiveUp):
            self._end_failed(trial_id, decision.error, None)
            return
        entry.lease = Lease(entry.lease.trial, decision.attempt)
        self._waiting.appendleft(trial_id)

    def _end_failed(self, trial_id: str, error: str, traceback: str | None) -> None:
        epochs = [event for event in self._entries[trial_id].events if isinstance(event, EpochCompleted)]
        self._end(
            TrialEnded(
                trial_id=trial_id,
                status=TrialStatus.FAILED,
                epochs=epochs[-1].epoch if epochs else 0,
                steps=epochs[-1].step if epochs else 0,
                duration_s=sum(event.duration_s for event in epochs),
                metrics=epochs[-1].metrics if epochs else {},
                error=error,
                traceback=traceback,
            )
        )
