"""Collect the events of trials and write a row of the ledger when a trial ends."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq

from l2rw_ray.config import PlannedTrial
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.events import EpochCompleted, Event, TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.results.compaction import MIN_FILES, compact_quietly
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.schema import TrialRecord, as_table
from l2rw_ray.results.trial_logs import found_log, taken_stacks

Clock = Callable[[], datetime]


def write_record(folder: StudyFolder, record: TrialRecord) -> None:
    """Write a trial's file, replacing an earlier one of the same trial, in one step.

    Raises:
        StudyFolderError: It cannot be written; no part of it remains.
    """
    path = folder.trial_file(record.trial_id)
    try:
        with folder.replaced(path) as temporary:
            pq.write_table(as_table(record), temporary, compression="zstd", write_page_checksum=True)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        remedy = "free the disk and run the same command again, which keeps what was finished before"
        raise StudyFolderError("trial file", path, f"not written ({reason})", remedy) from error


@dataclass
class _Collected:
    """What a running trial has reported so far."""

    started: TrialStarted
    started_at: datetime
    epochs: dict[float, EpochCompleted] = field(default_factory=dict)

    def start(self, event: TrialStarted) -> None:
        self.started = event
        self.epochs = {epoch.epoch: epoch for epoch in event.history}


class LedgerWriter:
    """Observer of events that writes one file per finished trial, and merges them when there are many.

    A trial that the infrastructure lost starts again with the history it resumes from; epochs that
    the lost attempt reported beyond it are dropped.

    Args:
        folder: A created study folder.
        planned: The trials whose events may come, by id; it may grow.
        versions: Package name to version.
        commit: Commit of this package's source, None outside a repository.
        clock: Returns the present time, in UTC.
    """

    def __init__(
        self,
        folder: StudyFolder,
        planned: Mapping[str, PlannedTrial],
        versions: Mapping[str, str],
        commit: str | None,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = folder
        self._planned = planned
        self._versions = versions
        self._commit = commit
        self._clock = clock
        self._running: dict[str, _Collected] = {}
        self._written = 0

    def __call__(self, event: Event) -> None:
        """Record an event; write the trial's file if it is the last.

        Raises:
            KeyError: The trial of the event is not planned.
            StudyFolderError: The file cannot be written.
        """
        match event:
            case TrialStarted():
                self._start(event)
            case EpochCompleted():
                self._running[event.trial_id].epochs[event.epoch] = event
            case TrialEnded():
                write_record(self._folder, self._record(event))
                self._running.pop(event.trial_id, None)
                self._written += 1
                if self._written % MIN_FILES == 0:
                    compact_quietly(self._folder)

    def _start(self, event: TrialStarted) -> None:
        collected = self._running.get(event.trial_id)
        if collected is None:
            collected = _Collected(event, self._before_now(event.elapsed_s))
            self._running[event.trial_id] = collected
        collected.start(event)

    def _record(self, event: TrialEnded) -> TrialRecord:
        planned = self._planned[event.trial_id]
        collected = self._running.get(event.trial_id)
        history = _history(collected)
        started = collected.started if collected else None
        stopped = event.status is TrialStatus.STOPPED
        left = (self._folder.logs, event.trial_id, planned.resources.workers)
        stacks, log = taken_stacks(*left), found_log(*left)
        return TrialRecord(
            trial_id=event.trial_id,
            status=event.status.value,
            seed=planned.seed,
            attempt=started.attempt if started else 1,
            reason=event.error if stopped else None,
            error=None if stopped else event.error,
            traceback=event.traceback or (stacks if event.status is TrialStatus.FAILED else None),
            config=planned.config.model_dump_json(),
            method=planned.config.title,
            metrics=event.metrics,
            train_examples=started.train_examples if started else None,
            epochs=event.epochs,
            steps=event.steps,
            duration_s=event.duration_s,
            split_hashes=started.split_hashes if started else {},
            split_sizes=started.split_sizes if started else {},
            class_counts=started.class_counts if started else {},
            known_noise=started.known_noise if started else None,
            versions=self._versions,
            commit=self._commit,
            workers=planned.resources.workers,
            cpus_per_worker=planned.resources.cpus_per_worker,
            gpus_per_worker=planned.resources.gpus_per_worker,
            device=started.device if started else None,
            hardware=started.hardware if started else None,
            started_at=collected.started_at if collected else self._before_now(event.duration_s),
            warnings=event.warnings,
            history=history,
            confusion=event.confusion,
            outcomes=event.outcomes,
            log=None if log is None else str(log.relative_to(self._folder.path)),
            estimator_used=history[-1].estimator_used if history else None,
        )

    def _before_now(self, duration_s: float) -> datetime:
        return self._clock() - timedelta(seconds=duration_s if math.isfinite(duration_s) else 0)


def _history(collected: _Collected | None) -> tuple[EpochCompleted, ...]:
    epochs = collected.epochs if collected else {}
    return tuple(epochs[number] for number in sorted(epochs))
