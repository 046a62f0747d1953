"""A study that runs in the background."""

from functools import partial
from time import monotonic
from typing import Self

from l2rw_ray.api.live import LiveStatus
from l2rw_ray.api.results import StudyResults
from l2rw_ray.api.run_process import RunOrder, RunProcess
from l2rw_ray.api.status import StudyStatus, status_of
from l2rw_ray.cli.plain_characters import say
from l2rw_ray.errors import L2RWError

_PAUSE_S = 1.0
_PAUSES_PER_READ = 10
"""Pause relative to the duration of the reading before it, of a ledger of many trials."""


class StudyRun:
    """A run in the background, as `Study.start` returns it."""

    def __init__(self, process: RunProcess, out: str) -> None:
        self._process, self._out = process, out

    @classmethod
    def start(cls, order: RunOrder) -> Self:
        """Start a run; see `Study.start`."""
        return cls(RunProcess(order, partial(say, error=True)), order.out)

    @property
    def is_running(self) -> bool:
        """Whether the run has not ended."""
        return self._process.is_running

    def status(self) -> StudyStatus:
        """Return how far the study is.

        Raises:
            Exception: What the run failed with, as `wait` does.
        """
        self._raise_failure()
        return status_of(self._out)

    def stop(self) -> None:
        """End the run, and return when it has ended: running trials save themselves, and resume later."""
        self._process.interrupt()
        self._process.wait()

    def wait(self, timeout_s: float | None = None, *, progress: bool = False) -> bool:
        """Wait until the run has ended. On Ctrl-C it is stopped first.

        Args:
            timeout_s: Seconds to wait at most; None for no limit.
            progress: Whether to show how far it is.

        Returns:
            Whether it has ended.

        Raises:
            InputError: The study, its data or its models cannot be used, or it does not fit the cluster.
            InfrastructureError: The cluster failed before all trials had run.
            StudyFolderError: The folder cannot be written, or another run uses it.
        """
        deadline = None if timeout_s is None else monotonic() + timeout_s
        live = LiveStatus() if progress else None
        try:
            pause_s = _PAUSE_S
            while not self._process.wait(_shorter(pause_s, deadline)):
                if deadline is not None and monotonic() >= deadline:
                    return False
                if live is not None:
                    began = monotonic()
                    live.show(status_of(self._out))
                    pause_s = max(_PAUSE_S, _PAUSES_PER_READ * (monotonic() - began))
        except KeyboardInterrupt:
            say("stopping: running trials save themselves; run the study again to resume", error=True)
            self.stop()
            raise
        self._raise_failure()
        if live is not None:
            live.show(status_of(self._out))
        return True

    def results(self) -> StudyResults:
        """Return what the study has found so far.

        Raises:
            StudyFolderError: There is no study in the folder yet.
        """
        return StudyResults(self._out)

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped" if self._process.interrupted else "ended"
        return f"<StudyRun of {self._out}: {state}>"

    def _raise_failure(self) -> None:
        error = self._process.error
        if isinstance(error, L2RWError):
            raise error.with_traceback(None)
        if error is not None:
            raise error


def _shorter(pause_s: float, deadline: float | None) -> float:
    return pause_s if deadline is None else max(0.0, min(pause_s, deadline - monotonic()))
