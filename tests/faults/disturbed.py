"""A study that mishaps befall, run by one command until it is complete, and what must be left of it."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from l2rw_ray.results import StudyFolder
from tests.faults.processes import LEFT_S, kill, living, of_runs, titled, wait_for_end
from tests.integration.harness import command, wait_until

RUN_S = 900.0
"""Longest time that one run may take on a busy machine."""
_MISHAPS = frozenset(
    {
        *("attempt", "started_at", "duration_s", "warnings", "log", "commit", "schema_version"),
        *("step_time_plain_s", "step_time_s", "overhead_ratio", "peak_memory_bytes"),
        "certificate_error",
    }
)
"""Columns of the ledger for times, faults and machines; all others are results. A trial that
resumes checks its scores once more."""


@dataclass
class DisturbedStudy:
    """One study folder and the command that fills it.

    Attributes:
        study: The study file.
        out: The study folder.
        arguments: Further arguments of the command.
        environment: Further variables of its environment.
        before: Processes that are not the command's.
    """

    study: Path
    out: Path
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    before: set[psutil.Process] = field(default_factory=living)
    _started: list[subprocess.Popen] = field(default_factory=list)
    _finished: dict[str, int] = field(default_factory=dict)

    def start(self) -> subprocess.Popen:
        """Start the command in the background."""
        self._note_finished()
        with self._log.open("w") as log:
            process = subprocess.Popen(
                command(self.study, "--out", str(self.out), *self.arguments),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self.environment,
                preexec_fn=_heed_interrupts,
            )
        self._started.append(process)
        return process

    def end(self, process: subprocess.Popen, expected: int) -> str:
        """Wait for the command's end; what it has printed."""
        code = process.wait(RUN_S)
        assert code == expected, self.output
        return self.output

    def complete(self) -> str:
        """Run the command once more, to the end."""
        return self.end(self.start(), 0)

    @property
    def output(self) -> str:
        """What the last command has printed."""
        return self._log.read_text()

    @property
    def finished(self) -> dict[str, int]:
        """When the record of each trial was written that is done with, in ns, by trial id."""
        written, again = {}, {"failed"} if "--retry-failed" in self.arguments else set()
        for path in (self.out / "trials").glob("*.parquet"):
            with suppress(pa.ArrowException, OSError):  # damaged on purpose
                row = _row(path)
                if row["reason"] != "interrupted" and row["status"] not in again:
                    written[path.stem] = path.stat().st_mtime_ns
        return written

    def processes(self) -> set[psutil.Process]:
        """All of the run under way: below the driver, or beside it on a cluster of others."""
        if self._is_on_a_cluster:
            return living() - self.before
        with suppress(psutil.NoSuchProcess):
            return living(self._started[-1].pid)
        return set()

    def workers(self) -> list[psutil.Process]:
        """The training workers of the run under way."""
        return titled("ray::TrainWorker", self.processes())

    def wait_for_workers(self) -> list[psutil.Process]:
        """Wait for training workers, or for the end of the run; the workers."""
        process = self._started[-1]
        wait_until(lambda: process.poll() is not None or self.workers(), "workers", RUN_S, every_s=0.3)
        return self.workers()

    def wait_for_training(self, checkpoints: int = 1, records: int = 0) -> list[psutil.Process]:
        """Wait for all that a fault could destroy; the training workers."""

        def is_there() -> bool:
            assert self._started[-1].poll() is None, f"nothing was left to disturb: {self.output}"
            recorded = len(list((self.out / "trials").glob("*.parquet"))) >= records
            saved = len(list((self.out / "checkpoints").rglob("*.pt"))) >= checkpoints
            return recorded and saved and bool(self.workers())

        wait_until(is_there, "training", RUN_S, every_s=0.3)
        self._note_finished()
        return self.workers()

    def resumable(self) -> set[Path]:
        """Return the checkpoint folders of the trials that are training and have one."""
        return {file.parent for file in (self.out / "checkpoints").rglob("*.pt")}

    def must_equal(self, undisturbed: Path) -> None:
        """Check that nothing was lost, nothing recorded twice, and that nothing runs any more.

        Args:
            undisturbed: A study folder in which no fault has happened.
        """
        self.must_be_complete()
        expected = results(undisturbed)
        assert results(self.out) == {trial_id: expected[trial_id] for trial_id in results(self.out)}
        self.must_keep_finished()
        self.must_have_ended()

    def must_be_complete(self) -> None:
        """Check that each trial of the plan is recorded once, completed, and no other."""
        planned = [row.trial_id for row in StudyFolder(self.out).read_plan()]
        recorded = results(self.out)
        assert sorted(row["trial_id"] for row in recorded.values()) == sorted(planned)
        assert {row["status"] for row in recorded.values()} == {"completed"}

    def must_keep_finished(self) -> None:
        """Check that no record of a finished trial was written again after a fault."""
        now = self.finished
        assert {trial_id: now.get(trial_id) for trial_id in self._finished} == self._finished

    def must_have_ended(self, within_s: float = LEFT_S) -> None:
        """Check that nothing of the command runs any more, after a moment."""
        left = self.left_after(within_s)
        assert not left, f"still running: {left}"

    def left_after(self, within_s: float) -> list[str]:
        """What of the command still runs when it has had time to end."""
        return wait_for_end(self._left, (process.pid for process in self._started), within_s)

    def abandon(self) -> None:
        """Kill whatever is left."""
        kill(self._left())
        for process in self._started:
            process.kill()
            process.wait()

    def _left(self) -> set[psutil.Process]:
        """What of the command still runs."""
        new = living() - self.before
        return of_runs(new) if self._is_on_a_cluster else new

    @property
    def _is_on_a_cluster(self) -> bool:
        return "--address" in self.arguments

    @property
    def _log(self) -> Path:
        return self.out.with_suffix(".log")

    def _note_finished(self) -> None:
        """Take note of what must stay; what was noted before must still be there."""
        if "--retry-failed" not in self.arguments:
            self.must_keep_finished()
        self._finished = self.finished


def results(out: Path) -> dict[str, dict[str, Any]]:
    """All that a ledger says about results, by trial id."""
    return {path.stem: _results(_row(path)) for path in (out / "trials").glob("*.parquet")}


def _row(path: Path) -> dict[str, Any]:
    (row,) = pq.read_table(path, page_checksum_verification=True).to_pylist()
    return row


def _results(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name not in _MISHAPS}
    kept["metrics"] = {name: value for name, value in row["metrics"] if not _is_measured(name)}
    kept["history"] = [
        {
            "epoch": epoch["epoch"],
            "step": epoch["step"],
            "metrics": [(name, value) for name, value in epoch["metrics"] if not _is_measured(name)],
        }
        for epoch in row["history"]
    ]
    return kept


def _is_measured(metric: str) -> bool:
    """Whether a figure is a time, what memory was taken or what checks of scores found."""
    return metric.endswith("_s") or metric.startswith(("peak_memory", "certificate"))


def _heed_interrupts() -> None:
    """A shell that starts the tests in the background makes them, and their children, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
