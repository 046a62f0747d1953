"""What Ray Tune is told of each trial: the newest of its epochs, and how it ended.

The event pump writes, Tune's loop in the main thread reads. A report that a newer one has replaced is lost,
since every report takes a round of Tune's loop.
"""

from collections.abc import Iterable
from threading import Condition
from typing import Any

from l2rw_ray.events import EpochCompleted, Event, TrialEnded, TrialStarted

Report = dict[str, Any]
"""A result in Tune's form: metrics by name, beside TIME and STATUS."""
RUNNING, LOST = "running", "lost"
"""Status of a running trial, and of one of which no more will be heard; else the status it ended with."""
TIME, STATUS, REASON, DURATION = "epoch", "status", "reason", "duration_s"
CLASSES = "classes"
STEPS = "step"
"""Time in steps, for searches whose trials are as long as `optim.steps` says."""


class TrialReports:
    """Observer of a run's events that keeps the newest report of each trial until Tune takes it.

    Args:
        with_epochs: Whether a scheduler judges running trials. Without one, nothing else uses epochs, and
            Tune's loop takes more of a core than a small trial does.
    """

    def __init__(self, *, with_epochs: bool) -> None:
        self._with_epochs = with_epochs
        self._started: dict[str, TrialStarted] = {}
        self._newest: dict[str, Report] = {}
        self._is_lost = False
        self._changed = Condition()

    def __call__(self, event: Event) -> None:
        """Record an event."""
        with self._changed:
            match event:
                case TrialStarted():
                    self._started[event.trial_id] = event
                case EpochCompleted() if self._with_epochs and self._is_judged(event):
                    at = {TIME: event.epoch, STEPS: event.step, STATUS: RUNNING}
                    self._newest[event.trial_id] = {**event.metrics, **at}
                case TrialEnded():
                    started = self._started.pop(event.trial_id, None)
                    self._newest[event.trial_id] = _end_report(event, started)
            self._changed.notify_all()

    def _is_judged(self, event: EpochCompleted) -> bool:
        """Return whether Tune may stop a trial after an epoch: not after its last one, or its end."""
        started = self._started.get(event.trial_id)
        return started is not None and (started.epochs == 0 or event.epoch < started.epochs)  # 0: not known

    def give_up(self) -> None:
        """Report every trial as lost from now on: no more events will come."""
        with self._changed:
            self._is_lost = True
            self._changed.notify_all()

    def wait(self, trial_ids: Iterable[str], timeout_s: float | None) -> tuple[str, Report] | None:
        """Take a report of one of these trials, the first that has one; None after the time-out.

        Args:
            trial_ids: Trials to look for; at most some hundreds, those that are running.
            timeout_s: How long to wait; None for as long as it takes.
        """
        wanted = tuple(trial_ids)

        def first() -> str | None:
            return next((each for each in wanted if self._is_lost or each in self._newest), None)

        with self._changed:
            self._changed.wait_for(lambda: first() is not None, timeout_s)
            trial_id = first()
            return None if trial_id is None else (trial_id, self._newest.pop(trial_id, {STATUS: LOST}))

    def take_end(self, trial_id: str) -> Report | None:
        """Return the report of how a trial ended; None while it has not."""
        with self._changed:
            has_ended = self._newest.get(trial_id, {STATUS: RUNNING})[STATUS] != RUNNING
            if not has_ended and self._is_lost:
                return {STATUS: LOST}
            return self._newest.pop(trial_id) if has_ended else None


def _end_report(end: TrialEnded, started: TrialStarted | None) -> Report:
    classes = len(started.class_counts) or None if started is not None else None
    outcome = {STATUS: end.status.value, REASON: end.error, DURATION: end.duration_s, CLASSES: classes}
    return {**end.metrics, TIME: end.epochs, STEPS: end.steps, **outcome}
