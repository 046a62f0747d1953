"""Mirror a study while it runs."""

import logging
import shlex
import threading
from time import monotonic
from types import TracebackType
from typing import Self

from l2rw_ray.errors import StudyFolderError, TrackingError
from l2rw_ray.events import Event, TrialEnded
from l2rw_ray.masking import masked, masked_of
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.tracking.mirror import mirror_folder

_PAUSE_S = 5.0
"""Shortest pause between two passes over the ledger during a run."""
_PAUSES_PER_PASS = 10
"""Pause relative to the duration of the pass before it, because mirroring takes cores from the run."""
FILES_S = 20.0
"""Longest time at the end of a run for the files and plots of trials; `l2rw-ray track` has no limit."""


class Mirror:
    """Observer that mirrors finished trials in a background thread.

    Plots and summaries are left to the last pass. If the store cannot be reached, the user is warned once
    and the mirror tries again at the end. The ledger is complete in any case, and `l2rw-ray track` completes
    the mirror.
    """

    def __init__(self, folder: StudyFolder, tracking_uri: str | None) -> None:
        self._folder, self._tracking_uri = folder, tracking_uri
        self._news, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._started = self._warned = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()

    def __call__(self, event: Event) -> None:
        """Schedule a pass when a trial has ended."""
        if isinstance(event, TrialEnded):
            self._news.set()
            if not self._started:
                self._started = True
                self._thread.start()

    def begin_last_pass(self) -> None:
        """Begin the last pass, since all trials are recorded; does not wait for it."""
        self._ending.set()

    def finish(self) -> None:
        """Wait for the last pass."""
        self.begin_last_pass()
        if self._started:
            self._thread.join()

    def _run(self) -> None:
        pause_s = 0.0  # the first pass imports MLflow and makes its database, while trials train
        while not self._ending.wait(pause_s):
            if self._news.is_set() and not self._warned:
                self._news.clear()
                began = monotonic()
                self._mirror(files_s=0)
                pause_s = max(_PAUSE_S, _PAUSES_PER_PASS * (monotonic() - began))
        self._mirror(files_s=FILES_S)

    def _mirror(self, files_s: float) -> None:
        try:
            mirror_folder(self._folder, self._tracking_uri, files_s)
        except Exception as error:  # a failing store never fails a run: the ledger is complete
            if not isinstance(error, TrackingError | StudyFolderError):
                logging.getLogger(__name__).debug("the mirror failed", exc_info=error)
            if not self._warned:
                self._warned = True
                self._warn(error)

    def _warn(self, error: Exception) -> None:
        uri = self._tracking_uri
        logging.getLogger(__name__).warning(
            "%s; the study continues, `l2rw-ray track %s%s` completes the mirror",
            " ".join(masked_of(str(error), uri or "").split()),
            shlex.quote(self._folder.address),
            f" --tracking-uri {shlex.quote(masked(uri))}" if uri else "",
        )
