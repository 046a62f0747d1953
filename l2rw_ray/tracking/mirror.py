"""Bring the MLflow mirror of a study folder up to date with its ledger."""

import fcntl
import hashlib
import logging
import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any

from l2rw_ray.config import Stage
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.arrays import (
    TrialRows,
    read_confusion,
    read_step_series,
    read_weight_histograms,
)
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.plain_files import check_plain, check_plain_folders, open_plain
from l2rw_ray.results.reader import read_history, read_study, trial_results
from l2rw_ray.results.remote.location import reason_of
from l2rw_ray.results.remote.store_files import StoreFiles
from l2rw_ray.tracking.own_store import keep_own_store
from l2rw_ray.tracking.uri import check_store, is_database, local_store

if TYPE_CHECKING:
    from l2rw_ray.tracking.mlflow_mirror import MlflowMirror

Row = dict[str, Any]

_WITH_FILES = 500
"""Trials of a study, the first of its plan, whose runs get files and plots: these take most of a second each.
All trials have them where models are kept, since those are files."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Destination of a mirror.

    Attributes:
        uri: MLflow store.
        experiment: Name of the experiment; None for the name of the study.
        artifacts: Folder of the artifacts; None lets the server choose.
        home: The folder whose own store this is, which must concern nothing else; None for a store that the
            user names.
    """

    uri: str
    experiment: str | None = None
    artifacts: Path | None = None
    home: Path | None = None


@dataclass(frozen=True, slots=True)
class Mirrored:
    """State of a mirror.

    Attributes:
        trials: Number of trials in the ledger, all of them mirrored.
        without_files: Number of trials whose files and plots are missing because time ran out.
    """

    trials: int
    without_files: int


def mirror_folder(
    folder: StudyFolder, tracking_uri: str | None = None, files_s: float = math.inf
) -> Mirrored:
    """Mirror a study to the store at an address.

    Args:
        folder: The study folder.
        tracking_uri: MLflow store; None for the one in the folder.
        files_s: Time limit for the files and plots of trials, in seconds.

    Raises:
        TrackingError: The kind of store is unknown, or it cannot be reached.
        StudyFolderError: The folder holds no study.
    """
    if tracking_uri is None:
        own = Destination(local_store(folder.path), None, folder.tracking_artifacts, folder.path)
        return mirror_to(own, folder, files_s)
    check_store(tracking_uri)
    artifacts = folder.tracking_artifacts if is_database(tracking_uri) else None
    return mirror_to(Destination(tracking_uri, artifacts=artifacts), folder, files_s)


def mirror_to(destination: Destination, folder: StudyFolder, files_s: float = math.inf) -> Mirrored:
    """Mirror every trial of the ledger that the store lacks.

    Args:
        destination: Where to mirror it.
        folder: The study folder.
        files_s: Time limit for the files and plots of trials, in seconds; they take longer than all the
            rest. With 0, summaries of design points are left out as well, and the run of the study stays
            open.

    Raises:
        TrackingError: The store cannot be reached.
        StudyFolderError: The folder holds no study.
    """
    from l2rw_ray.tracking.mlflow_mirror import MlflowMirror
    from l2rw_ray.tracking.view import study_views

    spec = folder.read_spec()
    with _alone(folder):
        if destination.home is not None:
            keep_own_store(destination.home)
        rows = read_study(folder.path).to_pylist()
        mirror = MlflowMirror(
            destination.uri, destination.experiment or spec.name, spec.question, destination.artifacts
        )
        mirror.offer_views(study_views(spec, rows))
        _record(mirror, folder, rows)
        planned = {row["trial_id"] for row in rows}
        mirror.mark_planned({trial_id: trial_id in planned for trial_id in trial_results(folder.path)})
        with_files = rows if spec.keep.models else rows[:_WITH_FILES]
        lacking: Sequence[Row] = [row for row in with_files if mirror.lacks_files(row)]
        if files_s > 0:
            _summarise(mirror, folder, rows)
            lacking = _attach(mirror, folder, lacking, files_s)
            _attach_report(mirror, folder)
            mirror.close()
    return Mirrored(len(rows), len({row["trial_id"] for row in lacking}))


def _record(mirror: "MlflowMirror", folder: StudyFolder, rows: Iterable[Row]) -> None:
    missing = [row for row in rows if not mirror.holds(row)]
    if missing:
        history, series = (TrialRows(read(folder.path)) for read in (read_history, read_step_series))
        for row in missing:
            mirror.record(row, history.of(row["trial_id"]), series.of(row["trial_id"]))


def _attach(
    mirror: "MlflowMirror", folder: StudyFolder, lacking: Sequence[Row], time_s: float
) -> Sequence[Row]:
    """Attach files to trials until the time is over. Returns the trials left without files."""
    if not lacking:
        return lacking
    from l2rw_ray.report.trial_plots import summarise_trial, write_trial_plots
    from l2rw_ray.tracking.runs import trial_files, trial_name

    readers = (read_history, read_step_series, read_weight_histograms, read_confusion)
    history, series, weights, confusion = (TrialRows(read(folder.path)) for read in readers)
    spec = folder.read_spec()
    fetches = folder.store is not None and spec.keep.models
    metric = None if spec.is_built_in else spec.objective.metric
    began = monotonic()
    for number, row in enumerate(lacking):
        if monotonic() - began > time_s:
            return lacking[number:]
        trial_id = row["trial_id"]
        with TemporaryDirectory(prefix="l2rw-") as made:
            for name, text in trial_files(row).items():
                (Path(made) / name).write_text(text, encoding="utf-8")
            plots = Path(made) / "figures"
            plots.mkdir()
            records = history.of(trial_id), series.of(trial_id), weights.of(trial_id)
            matrix = next(iter(confusion.of(trial_id)), None)
            write_trial_plots(summarise_trial(trial_name(row), *records, matrix, metric), plots)
            if fetches:
                _fetch_model(folder, trial_id)
            _add_model(folder.model_file(trial_id), Path(made))
            mirror.attach(row, Path(made))
    return ()


def _fetch_model(folder: StudyFolder, trial_id: str) -> None:
    """Download the model of a trial from the object store, if it was uploaded there."""
    file = folder.model_file(trial_id)
    if folder.store is None or file.exists():
        return
    models = StoreFiles(folder.store.location, "models")
    try:
        content = models.read(file.name)
    except FileNotFoundError:
        return
    except OSError as error:
        problem = f"cannot be read ({reason_of(error)})"
        raise StudyFolderError(
            "kept models", models, problem, "make the store accessible, then run `l2rw-ray track` again"
        ) from error
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)


def _add_model(file: Path, made: Path) -> None:
    """Add the trained model, if it was kept; with custom code as it is, since no custom code runs here."""
    if not check_plain(file).exists():
        return
    from l2rw_ray.tracking.logged_model import write_logged_model
    from l2rw_ray.training import load_model

    try:
        kept = load_model(file, own_code=False)
        write_logged_model(kept.network, kept.input_shape, made / "model")
    except Exception as error:  # torch cannot export every network
        logging.getLogger(__name__).debug("kept as it is: %s", file, exc_info=error)
        shutil.rmtree(made / "model", ignore_errors=True)
        shutil.copy(file, made / "model.pt")


def _summarise(mirror: "MlflowMirror", folder: StudyFolder, rows: Iterable[Row]) -> None:
    """Write a run per design point that has completed final trials."""
    if isinstance(folder.read_spec().design, SearchDesign):  # its configurations are its trials
        return
    final = {row.trial_id for row in folder.read_plan() if row.stage is Stage.FINAL}
    if any(row["status"] == "completed" and row["trial_id"] in final for row in rows):
        from l2rw_ray.tracking.design_point_run import design_point_runs

        mirror.summarise(design_point_runs(folder.path))


def _attach_report(mirror: "MlflowMirror", folder: StudyFolder) -> None:
    """Attach the report, if one was written, to the run of the study."""
    page = folder.report / "report.html"
    if page.is_file():
        check_plain_folders(folder.report, [path for path in folder.report.rglob("*") if path.is_dir()])
        mirror.attach_report(folder.report, hashlib.sha256(page.read_bytes()).hexdigest()[:16])


@contextmanager
def _alone(folder: StudyFolder) -> Iterator[None]:
    """Wait until no other process mirrors this folder: two at once would write trials twice."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_plain(folder.path / ".mirror.lock", "a"))
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass  # a read-only folder, or a file system without locks
        yield
