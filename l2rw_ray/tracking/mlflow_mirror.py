"""One-way mirror of the ledger into MLflow: a run per study, trial and design point.

The only file that calls mlflow. Times and values come from the ledger, so that mirroring a
study twice, or after a crash, leaves the same runs.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run

from l2rw_ray.errors import TrackingError
from l2rw_ray.masking import masked
from l2rw_ray.tracking.database import check_database_answers
from l2rw_ray.tracking.design_point_run import DesignPointRun
from l2rw_ray.tracking.guarded import guarded
from l2rw_ray.tracking.inputs import DataInput, data_inputs
from l2rw_ray.tracking.metric_points import MetricPoint, end_of, metric_points
from l2rw_ray.tracking.mirrored_run import ENDED, FILES, OUTCOME, MirroredRun, read_tags
from l2rw_ray.tracking.new_database import create_database
from l2rw_ray.tracking.runs import (
    PLANNED,
    Row,
    outcome_of,
    trial_name,
    trial_params,
    trial_tags,
)
from l2rw_ray.tracking.stored_names import stored_name
from l2rw_ray.tracking.uri import check_writable_folder

_PARENT = "mlflow.parentRunId"
_NOTE = "mlflow.note.content"
_STUDY, _TRIAL, _POINT = "l2rw.study", "l2rw.trial_id", "l2rw.point"
_NOT_FINITE = "l2rw.not_finite"
_REPORT = "l2rw.report"
_STATUSES = {"completed": "FINISHED", "failed": "FAILED", "diverged": "FAILED", "stopped": "KILLED"}
_MAX_METRICS, _MAX_PARAMS = 900, 100  # per request; MLflow takes 1000 of both together


def experiment_of(tracking_uri: str, study_name: str) -> str:
    """Return the ID of the experiment of a study, which is part of the addresses of its pages.

    Raises:
        TrackingError: The store cannot be opened, or the study is not in it.
    """
    with guarded(tracking_uri):
        check_writable_folder(tracking_uri)
        experiment = MlflowClient(tracking_uri=tracking_uri).get_experiment_by_name(study_name)
    if experiment is None:
        raise TrackingError(
            "tracking store",
            masked(tracking_uri),
            f"holds no study {study_name!r}",
            "mirror it with `l2rw-ray track`",
        )
    return str(experiment.experiment_id)


@dataclass
class _Store:
    """An open store, the runs it already has of this study, and whether the run of the study is open."""

    client: MlflowClient
    experiment_id: str
    parent_id: str
    tags: dict[str, str] = field(default_factory=dict)
    trials: dict[str, MirroredRun] = field(default_factory=dict)
    points: dict[str, MirroredRun] = field(default_factory=dict)
    is_open: bool = False


class MlflowMirror:
    """Mirror of a study in MLflow, with trials and design points as nested runs.

    Use it from one thread of one process.

    Each method raises TrackingError within seconds when the store cannot be reached or written.

    Args:
        tracking_uri: MLflow store, `sqlite:///…` or a server's `http://…`.
        study_name: Name of the experiment.
        question: The question of the study, shown as the description.
        artifact_root: Folder for artifacts of a local store; None lets the server choose.
        clock: Returns the present time in UTC.
    """

    def __init__(
        self,
        tracking_uri: str,
        study_name: str,
        question: str,
        artifact_root: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._uri = tracking_uri
        self._name = study_name
        self._question = question
        self._artifact_root = artifact_root
        self._clock = clock
        self._opened: _Store | None = None

    def holds(self, trial_row: Row) -> bool:
        """Return whether a run holds this outcome of a trial.

        Raises:
            TrackingError: The store cannot be reached.
        """
        with guarded(self._uri):
            known = self._store().trials.get(trial_row["trial_id"])
            return known is not None and _is_of(known, trial_row)

    def record(
        self, trial_row: Row, history_rows: Sequence[Row] = (), series_rows: Sequence[Row] = ()
    ) -> None:
        """Write a finished trial, unless a run already holds this outcome.

        Args:
            trial_row: Its row of `read_study(…).to_pylist()`.
            history_rows: Its rows of `read_history(…).to_pylist()`.
            series_rows: Its rows of `read_step_series(…).to_pylist()`.

        Raises:
            TrackingError: The store cannot be reached or written.
        """
        with guarded(self._uri):
            store = self._store()
            known = store.trials.get(trial_row["trial_id"])
            if known and _is_of(known, trial_row):
                return
            if known:  # cut short by a crash, or the trial was run again
                store.client.delete_run(known.run_id)
            self._reopen_parent(store)
            store.trials[trial_row["trial_id"]] = self._write_trial(
                store, trial_row, history_rows, series_rows
            )

    def lacks_files(self, trial_row: Row) -> bool:
        """Return whether a recorded trial still lacks the files of this outcome.

        Raises:
            TrackingError: The store cannot be reached.
        """
        with guarded(self._uri):
            known = self._store().trials.get(trial_row["trial_id"])
            return known is not None and FILES not in known.tags  # a new outcome is a new run

    def attach(self, trial_row: Row, folder: Path) -> None:
        """Attach all files of a folder to a recorded trial; files of the same name are replaced.

        Raises:
            TrackingError: The store or its artifacts cannot be reached or written.
        """
        with guarded(self._uri):
            store = self._store()
            run = store.trials[trial_row["trial_id"]]
            store.client.log_artifacts(run.run_id, str(folder))
            store.client.set_tag(run.run_id, FILES, "yes")
            run.tags[FILES] = "yes"

    def mark_planned(self, planned: Mapping[str, bool]) -> None:
        """Tag recorded trials by whether the study still plans them.

        Args:
            planned: Whether the study plans a trial, by trial id; without trials of other study folders.

        Raises:
            TrackingError: The store cannot be reached or written.
        """
        with guarded(self._uri):
            store = self._store()
            _mark(store, [(store.trials[key], planned[key]) for key in planned.keys() & store.trials.keys()])

    def summarise(self, points: Iterable[DesignPointRun]) -> None:
        """Write a run per design point with its metrics over seeds, in place of an earlier one.

        Those that are not among them are marked as no longer planned.

        Raises:
            TrackingError: The store cannot be reached or written.
        """
        with guarded(self._uri):
            store, written = self._store(), set()
            for point in points:
                self._write_point(store, point)
                written.add(point.key)
            _mark(store, [(run, key in written) for key, run in store.points.items()])

    def offer_views(self, states: Mapping[str, str]) -> None:
        """Set the states in which the UI opens the study's pages, as `study_views` returns them.

        Raises:
            TrackingError: The store cannot be reached or written.
        """
        with guarded(self._uri):
            store = self._store()
            for tag, state in states.items():
                if store.tags.get(tag) != state:
                    store.client.set_experiment_tag(store.experiment_id, tag, state)
                    store.tags[tag] = state

    def attach_report(self, folder: Path, digest: str) -> None:
        """Attach the files of a report to the study's run, unless it has this report.

        Args:
            folder: The folder of the report.
            digest: Changes when the report does.

        Raises:
            TrackingError: The store or its artifacts cannot be reached or written.
        """
        with guarded(self._uri):
            store = self._store()
            if store.client.get_run(store.parent_id).data.tags.get(_REPORT) != digest:
                store.client.log_artifacts(store.parent_id, str(folder), "report")
                store.client.set_tag(store.parent_id, _REPORT, digest)

    def close(self) -> None:
        """Mark the study's run as finished.

        Raises:
            TrackingError: The store cannot be reached or written.
        """
        with guarded(self._uri):
            store = self._store()
            if not _has_ended(store.client.get_run(store.parent_id)):
                store.client.set_terminated(store.parent_id, "FINISHED", _milliseconds(self._clock()))
            store.is_open = False

    def _write_trial(
        self, store: _Store, row: Row, history: Sequence[Row], series: Sequence[Row]
    ) -> MirroredRun:
        points = metric_points(row, history, series)
        not_finite = sorted({point.name for point in points if not math.isfinite(point.value)})
        tags = trial_tags(row) | {
            _PARENT: store.parent_id,
            _TRIAL: row["trial_id"],
            OUTCOME: outcome_of(row),
            PLANNED: "yes",
        }
        if not_finite:
            tags[_NOT_FINITE] = ", ".join(not_finite)
        tags = {stored_name(name): value for name, value in tags.items()}
        run = store.client.create_run(
            store.experiment_id, _milliseconds(row["started_at"]), tags, trial_name(row)
        )
        self._log(store, run.info.run_id, points, trial_params(row))
        store.client.log_inputs(run.info.run_id, [_dataset(each) for each in data_inputs(row)])
        status = _STATUSES[row["status"]]
        store.client.set_terminated(run.info.run_id, status, _milliseconds(end_of(row)))
        return MirroredRun(run.info.run_id, status, read_tags(tags))

    def _log(
        self, store: _Store, run_id: str, points: Sequence[MetricPoint], params: Mapping[str, str]
    ) -> None:
        metrics = [
            Metric(stored_name(point.name), point.value, _milliseconds(point.at), point.step)
            for point in points
            if math.isfinite(point.value)
        ]
        pairs = [Param(stored_name(name), value) for name, value in params.items()]
        requests = max(math.ceil(len(metrics) / _MAX_METRICS), math.ceil(len(pairs) / _MAX_PARAMS))
        for number in range(requests):
            store.client.log_batch(
                run_id,
                metrics=metrics[number * _MAX_METRICS : (number + 1) * _MAX_METRICS],
                params=pairs[number * _MAX_PARAMS : (number + 1) * _MAX_PARAMS],
            )

    def _write_point(self, store: _Store, point: DesignPointRun) -> None:
        known = store.points.get(point.key)
        metrics = {stored_name(name): value for name, value in point.metrics().items()}
        if known and known.metrics == metrics and known.has_ended:
            return
        if known:  # another seed has completed: its curves would be drawn over the earlier ones
            store.client.delete_run(known.run_id)
        now = self._clock()
        tags = {_PARENT: store.parent_id, _POINT: point.key, PLANNED: "yes"}
        tags |= {stored_name(name): value for name, value in point.tags.items()}
        run = store.client.create_run(store.experiment_id, _milliseconds(now), tags, point.name)
        self._log(store, run.info.run_id, point.points(now), {})
        store.client.set_terminated(run.info.run_id, "FINISHED", _milliseconds(now))
        store.points[point.key] = MirroredRun(run.info.run_id, "FINISHED", read_tags(tags), metrics)

    def _reopen_parent(self, store: _Store) -> None:
        if not store.is_open and _has_ended(store.client.get_run(store.parent_id)):
            store.client.update_run(store.parent_id, status="RUNNING")
        store.is_open = True

    def _store(self) -> _Store:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> _Store:
        check_writable_folder(self._uri)
        check_database_answers(self._uri)
        create_database(self._uri)
        client = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
        experiment = client.get_experiment_by_name(self._name)
        if experiment is None:
            location = self._artifact_root.resolve().as_uri() if self._artifact_root else None
            experiment_id = client.create_experiment(self._name, location, {_NOTE: self._question})
        else:
            experiment_id = experiment.experiment_id
        store = _Store(client, experiment_id, "", tags=dict(experiment.tags) if experiment else {})
        for run in _all_runs(client, experiment_id):
            tags = run.data.tags
            known = MirroredRun(run.info.run_id, run.info.status, read_tags(tags))
            if _STUDY in tags:
                store.parent_id = store.parent_id or known.run_id
            elif _TRIAL in tags:
                store.trials[tags[_TRIAL]] = known
            elif _POINT in tags:
                store.points[tags[_POINT]] = replace(known, metrics=run.data.metrics)
        store.parent_id = store.parent_id or self._create_parent(client, experiment_id)
        return store

    def _create_parent(self, client: MlflowClient, experiment_id: str) -> str:
        tags = {_STUDY: self._name, _NOTE: self._question}
        run = client.create_run(experiment_id, _milliseconds(self._clock()), tags, self._name)
        return str(run.info.run_id)


def _all_runs(client: MlflowClient, experiment_id: str) -> Iterator[Run]:
    token = None
    while True:
        page = client.search_runs([experiment_id], max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _mark(store: _Store, planned: Iterable[tuple[MirroredRun, bool]]) -> None:
    """Tag runs by whether the study still plans them."""
    for run, is_planned in planned:
        mark = "yes" if is_planned else "no"
        if run.tags.get(PLANNED) != mark:
            store.client.set_tag(run.run_id, PLANNED, mark)
            run.tags[PLANNED] = mark


def _dataset(data: DataInput) -> DatasetInput:
    dataset = Dataset(data.name, data.digest, "code", data.source, profile=data.profile)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", data.split)])


def _is_of(run: MirroredRun, row: Row) -> bool:
    """Return whether a run holds the complete outcome of a trial."""
    return run.tags.get(OUTCOME) == outcome_of(row) and run.has_ended


def _has_ended(run: Run) -> bool:
    return run.info.status in ENDED


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
