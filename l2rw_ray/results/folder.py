"""The study folder: the paths of a study's files, and the lock on them."""

import errno
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, TextIO

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.config.loading import dump_study, read_study_file
from l2rw_ray.errors import InputError, StudyFolderError
from l2rw_ray.results.atomic import atomic_path
from l2rw_ray.results.plain_files import check_plain, check_plain_folders, open_plain
from l2rw_ray.results.plans.plan_rows import PlanRow, plan_rows, text_of_plan

if TYPE_CHECKING:
    from l2rw_ray.results.remote.store import StudyStore

_TOP = (
    *("study.yaml", "plan.json", "plan_log.jsonl", "importances.json", "notes.md", "optuna.db", "mlflow.db"),
    *("suspects.parquet", "suspects.json"),
    *("trials", "checkpoints", "logs", "models", "examples", "report", "mlartifacts"),
    *("optuna.db-journal", "optuna.db-wal", "optuna.db-shm"),
    *(".lock", ".mirror.lock", ".filling.lock", ".number"),
)
"""What is read or written in a study folder."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_PROBE_BYTES = 4096
"""Bytes written to check that a folder is writable and its disk not full."""


def unwritable(error: OSError) -> tuple[str, str]:
    """Return problem and remedy of a folder that cannot be written."""
    remedy = f"{'free the disk, or ' if error.errno in _FULL else ''}choose another --out"
    return (error.strerror or "cannot be written").lower(), remedy


@dataclass(frozen=True)
class StudyFolder:
    """A folder that holds one study: its specification, plan, ledger and what derives from them.

    Attributes:
        path: The folder on this machine.
        store: The object store that the folder is a working copy of; None for a local study folder.
    """

    path: Path
    store: "StudyStore | None" = field(default=None, compare=False)

    @property
    def address(self) -> str:
        """The name that users give it."""
        return str(self.path) if self.store is None else self.store.location.address

    @property
    def study_file(self) -> Path:
        """The resolved study."""
        return self.path / "study.yaml"

    @property
    def plan_file(self) -> Path:
        """The trials of the resolved study."""
        return self.path / "plan.json"

    @property
    def plan_log(self) -> Path:
        """What was planned when, and whether results existed: a line for each plan."""
        return self.path / "plan_log.jsonl"

    @property
    def trials(self) -> Path:
        """The ledger: `<trial_id>.parquet` per trial, and files of many trials, compacted or published."""
        return self.path / "trials"

    @property
    def searches(self) -> Path:
        """Optuna's record of this study's searches."""
        return self.path / "optuna.db"

    @property
    def importances(self) -> Path:
        """Importance of each parameter of a search, written at the end of a run."""
        return self.path / "importances.json"

    @property
    def suspects(self) -> Path:
        """The ranking of labels of a published study, which is without the evidence it was made of."""
        return self.path / "suspects.parquet"

    @property
    def suspects_summary(self) -> Path:
        """What the report of a published study says of that ranking."""
        return self.path / "suspects.json"

    @property
    def tracking_database(self) -> Path:
        """The local MLflow store."""
        return self.path / "mlflow.db"

    @property
    def tracking_artifacts(self) -> Path:
        """Artifacts of the local MLflow store."""
        return self.path / "mlartifacts"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of unfinished trials."""
        return self.path / "checkpoints"

    @property
    def logs(self) -> Path:
        """Output of trials: `<trial_id>.log`, for further ranks `<trial_id>.rank<n>.log`."""
        return self.path / "logs"

    @property
    def models(self) -> Path:
        """Trained models, where the study keeps them: `<trial_id>.pt` per trial."""
        return self.path / "models"

    @property
    def examples(self) -> Path:
        """Evidence on labels, where the study keeps it: `<trial_id>.parquet` per trial."""
        return self.path / "examples"

    @property
    def report(self) -> Path:
        """Default folder of the report."""
        return self.path / "report"

    @property
    def notes(self) -> Path:
        """Optional free text that the report quotes."""
        return self.path / "notes.md"

    def trial_file(self, trial_id: str) -> Path:
        """Return the ledger's file of one trial."""
        return self.trials / f"{trial_id}.parquet"

    def model_file(self, trial_id: str) -> Path:
        """Return the file of one trial's trained model."""
        return self.models / f"{trial_id}.pt"

    def examples_file(self, trial_id: str) -> Path:
        """Return the file of one trial's evidence on labels."""
        return self.examples / f"{trial_id}.parquet"

    def fetch_examples(self) -> None:
        """Fetch the evidence on labels from the store, if there is one; files that are here stay.

        Raises:
            StudyFolderError: The store cannot be read.
        """
        if self.store is not None:
            self.store.fetch_folder(self.examples)

    def delete_checkpoints(self, trial_id: str) -> None:
        """Remove the checkpoints of a trial, including the single file of earlier releases."""
        shutil.rmtree(self.checkpoints / trial_id, ignore_errors=True)
        with suppress(OSError, StudyFolderError):  # leftovers only take space
            (self.checkpoints / f"{trial_id}.pt").unlink(missing_ok=True)
            if self.store is not None:
                self.store.remove(self.checkpoints / trial_id)

    def with_checkpoints(self) -> set[str]:
        """Return the trials that have checkpoints, here or in the store.

        Raises:
            StudyFolderError: The store cannot be read.
        """
        found = {path.name.removesuffix(".pt") for path in self.checkpoints.glob("*")}
        if self.store is not None:
            found |= self.store.names(self.checkpoints)
        return found

    def create(self) -> None:
        """Create the folder and its subfolders and check that they are writable.

        Raises:
            StudyFolderError: The folder cannot be created or written.
        """
        self.check_not_a_file()
        with self._writable():
            self.check_plain()
            for path in (self.path, self.trials, self.checkpoints, self.logs):
                path.mkdir(parents=True, exist_ok=True)
                with TemporaryFile(dir=path, buffering=0) as probe:
                    probe.write(bytes(_PROBE_BYTES))

    def check_plain(self) -> None:
        """Check that nothing in the folder's own subfolders stands for something elsewhere.

        Raises:
            StudyFolderError: There is a link, a pipe or a device.
        """
        self._check_plain_top()
        folders = [self.trials, self.logs, self.models, self.examples, self.report, self.report / "figures"]
        inner = [path for path in self.checkpoints.glob("*") if path.is_dir()]
        check_plain_folders(self.checkpoints, [*folders, *inner])

    def _check_plain_top(self) -> None:
        for name in _TOP:
            check_plain(self.path / name)

    def check_not_a_file(self) -> None:
        """Raise StudyFolderError if the path is a file or unreadable."""
        with self._writable():
            if self.path.exists() and not self.path.is_dir():
                raise self._error("a file, no folder", "choose another --out")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder against other runs; the operating system releases it when this process ends.

        Raises:
            StudyFolderError: Another run has locked the folder, or it cannot be written.
        """
        with self._open_lock() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read().strip() or "unknown process"
                raise self._error(f"in use by another run ({holder})", "wait for it or stop it") from error
            _replace_text(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}")
            try:
                if self.store is None:
                    yield
                else:
                    with self.store.claimed():
                        self.store.fill(searches=self.searches.name)
                        yield
            finally:
                _replace_text(file.fileno(), "")

    @contextmanager
    def replaced(self, path: Path) -> Iterator[Path]:
        """Yield a temporary path that replaces a file of the folder, and of its store, if the block succeeds.

        Raises:
            StudyFolderError: The store cannot be written.
        """
        with atomic_path(path) if self.store is None else self.store.replaced(path) as temporary:
            yield temporary

    def remove_trial_files(self, paths: Sequence[Path]) -> None:
        """Remove files of the ledger, first from the store, if there is one.

        Raises:
            StudyFolderError: The store cannot be written.
            OSError: A file cannot be removed here.
        """
        if self.store is not None:
            self.store.remove_files(paths)
        for path in paths:
            path.unlink(missing_ok=True)

    def keep_searches(self) -> None:
        """Copy Optuna's record to the store, if there is one.

        Raises:
            StudyFolderError: The store cannot be written.
        """
        if self.store is not None:
            self.store.put_copy(self.searches)

    def keep_logs(self, trial_id: str) -> None:
        """Copy a trial's logs on this machine to the store, if there is one."""
        if self.store is None:
            return
        with suppress(StudyFolderError):  # a log is a convenience
            for log in (self.path / "logs").glob(f"{trial_id}*.log"):
                self.store.put(log)

    def _open_lock(self) -> TextIO:
        with self._writable():
            return open_plain(self.path / ".lock", "a+")

    def write_plan(self, spec: StudySpec, planned: Sequence[PlannedTrial]) -> None:
        """Write the resolved study and its trials, replacing those of an earlier run.

        Raises:
            StudyFolderError: The folder cannot be written.
        """
        with self._writable(), self.replaced(self.study_file) as temporary:
            dump_study(spec, temporary)
        self.write_rows(planned)

    def write_rows(self, planned: Sequence[PlannedTrial]) -> None:
        """Write the trials alone, after a running study added some.

        Raises:
            StudyFolderError: The folder cannot be written.
        """
        text = text_of_plan(planned)
        with self._writable(), self.replaced(self.plan_file) as temporary:
            temporary.write_text(text, encoding="utf-8")

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(*unwritable(error)) from error

    def read_spec(self) -> StudySpec:
        """Return the study that this folder was last run with.

        Raises:
            StudyFolderError: There is no study in the folder, or its file is broken.
        """
        self.require()
        try:
            return read_study_file(self.study_file)
        except InputError as error:
            raise self._error(f"its study.yaml is unusable ({error})", "run the study again") from error

    def read_plan(self) -> tuple[PlanRow, ...]:
        """Return the trials of the last plan, in order.

        Raises:
            StudyFolderError: There is no plan in the folder, or its file is broken.
        """
        self.require()
        try:
            return plan_rows(self.plan_file)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._error("its plan.json is unreadable", "run the study again") from error

    def require(self) -> None:
        """Raise StudyFolderError unless the folder holds a study."""
        if not self.path.is_dir():
            problem = "a file, no folder" if self.path.exists() else "no such folder"
            raise self._error(problem, "give the folder that `l2rw-ray run` wrote")
        self._check_plain_top()
        for file in (self.study_file, self.plan_file):
            if not file.is_file():
                if self.plan_log.is_file():
                    problem = "a study is registered there, but none has run"
                    raise self._error(problem, "run it with `l2rw-ray run`")
                raise self._error(f"it has no {file.name}", "give the folder that `l2rw-ray run` wrote")

    def _error(self, problem: str, remedy: str) -> StudyFolderError:
        return StudyFolderError("study folder", self.address if self.store else self.path, problem, remedy)


def _replace_text(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
