"""Keeping the MLflow mirror of a study folder up to date, beside a run or after it."""

import logging
import threading
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from l2rw_ray.config import Stage
from l2rw_ray.config.search import SearchDesign
from l2rw_ray.events import Event, TrialEnded
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.reader import read_history, read_study
from l2rw_ray.tracking.uri import refuse_unknown_store

_PAUSE_S = 5.0
"""Between two passes over the ledger while a run is under way."""


def mirror_folder(folder: StudyFolder, tracking_uri: str | None = None, known: set[str] | None = None) -> int:
    """Mirror every trial of the ledger that the store does not have, and the summaries.

    Args:
        folder: The study folder.
        tracking_uri: MLflow store; None for the one in the folder.
        known: Trials that need not be looked at; those mirrored now are added.

    Returns:
        The number of trials in the ledger.

    Raises:
        TrackingError: The store cannot be reached.
        StudyFolderError: The folder holds no study.
    """
    from l2rw_ray.report import summarise
    from l2rw_ray.tracking.mlflow_observer import MlflowMirror, local_store
    from l2rw_ray.tracking.runs import DesignPoint

    if tracking_uri is not None:
        refuse_unknown_store(tracking_uri)
    spec = folder.read_spec()
    rows = read_study(folder.path).to_pylist()
    epochs: dict[str, list[dict[str, Any]]] = {}
    for epoch in read_history(folder.path).to_pylist():
        epochs.setdefault(epoch["trial_id"], []).append(epoch)
    artifacts = folder.tracking_artifacts.resolve() if tracking_uri is None else None
    mirror = MlflowMirror(tracking_uri or local_store(folder.path), spec.name, spec.question, artifacts)
    known = set() if known is None else known
    for row in rows:
        if row["trial_id"] not in known:
            mirror.record(row, epochs.get(row["trial_id"], []))
            known.add(row["trial_id"])
    is_search = isinstance(spec.design, SearchDesign)  # its configurations are its trials
    final = {row.trial_id for row in folder.read_plan() if row.stage is Stage.FINAL}
    if not is_search and any(row["status"] == "completed" and row["trial_id"] in final for row in rows):
        mirror.summarise(
            DesignPoint(
                cell.arm, dict(cell.setting.levels), {k: asdict(v) for k, v in cell.intervals.items()}
            )
            for cell in summarise(folder.path).cells
        )
    mirror.close()
    return len(rows)


class Mirror:
    """Observer that mirrors finished trials from a thread of its own.

    A store that cannot be reached costs one warning; the ledger has everything, and
    `l2rw-ray track` completes the mirror later.
    """

    def __init__(self, folder: StudyFolder, tracking_uri: str | None) -> None:
        self._folder, self._tracking_uri = folder, tracking_uri
        self._known: set[str] = set()
        self._news, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()

    def __call__(self, event: Event) -> None:
        """Note that a trial ended."""
        if isinstance(event, TrialEnded):
            self._news.set()
            if not self._started:
                self._started = True
                self._thread.start()

    def finish(self) -> None:
        """Wait for the last pass."""
        if self._started:
            self._ending.set()
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(_PAUSE_S):
            if self._news.is_set():
                self._news.clear()
                if not self._mirror():
                    return
        self._mirror()

    def _mirror(self) -> bool:
        try:
            mirror_folder(self._folder, self._tracking_uri, self._known)
        except Exception as error:  # noqa: BLE001  # whatever a store does, the ledger has everything
            logging.getLogger(__name__).warning(
                "%s; the study goes on, `l2rw-ray track %s%s` completes the mirror",
                " ".join(str(error).split()),
                self._folder.path,
                f" --tracking-uri {self._tracking_uri}" if self._tracking_uri else "",
            )
            return False
        return True
