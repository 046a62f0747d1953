"""Settings of a run and of one of its worker groups, sent to every worker."""

import atexit
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Self

from l2rw_ray.config import Keep, Limits, Resources, Stage, StudySpec
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.config.functions.metrics import Metrics
from l2rw_ray.config.run_options import CheckpointPolicy
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.remote.location import Location


@dataclass(frozen=True)
class RunConfig:
    """Where the trials of a run write their files, and their limits.

    Attributes:
        checkpoints: The study's checkpoint folder.
        models: The study's folder of trained models.
        examples: The study's folder of evidence on labels.
        logs: The study's folder of logs.
        store: Object store that replaces the folders of checkpoints and models; None for no store.
        working_directory: Base of relative paths in a study: the driver's working directory.
        checkpoint_policy: When checkpoints are written.
        keep: Artifacts to save with each trial's metrics.
        is_search: Whether all trials of the study are those of a search.
        limits: Limits of a trial.
        metrics: Metrics that the study itself declares.
        report_every_s: Minimum time between two reports of a trial's epochs.
        trials_per_worker_group: Trials after which a worker group's workers are replaced.
    """

    checkpoints: Path
    models: Path
    examples: Path
    logs: Path
    store: Location | None
    working_directory: Path
    checkpoint_policy: CheckpointPolicy
    keep: Keep
    is_search: bool
    limits: Limits
    metrics: Metrics
    report_every_s: float
    trials_per_worker_group: int

    @classmethod
    def of(
        cls, spec: StudySpec, folder: StudyFolder, report_every_s: float, trials_per_worker_group: int
    ) -> Self:
        """Return the settings of a study that runs from this process's working directory."""
        return cls(
            checkpoints=folder.checkpoints.resolve(),
            models=folder.models.resolve(),
            examples=folder.examples.resolve(),
            logs=folder.logs.resolve(),
            store=folder.store.location if folder.store else None,
            working_directory=Path.cwd(),
            checkpoint_policy=spec.checkpoints,
            keep=spec.keep,
            is_search=isinstance(spec.design, SearchDesign),
            limits=spec.limits,
            metrics=spec.metrics,
            report_every_s=report_every_s,
            trials_per_worker_group=trials_per_worker_group,
        )

    def keeps_examples(self, stage: Stage) -> bool:
        """Return whether trials of a stage keep evidence on labels: not those that only tune an arm."""
        return self.keep.examples and (stage is Stage.FINAL or self.is_search)

    def model_file(self, trial_id: str) -> Path | None:
        """Return the file that a worker saves a trial's model to; None when models are not kept."""
        if not self.keep.models:
            return None
        if self.store is None:
            return self.models / f"{trial_id}.pt"
        return _own_folder() / f"{trial_id}.pt"  # until it is uploaded


@cache
def _own_folder() -> Path:
    """Return a temporary folder that only this user can write, removed when this process exits."""
    folder = Path(mkdtemp(prefix="l2rw-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@dataclass(frozen=True)
class WorkerGroupConfig:
    """Settings of the workers of one worker group.

    Attributes:
        name: Name of the worker group, unique within the run.
        broker: Source of the trials.
        resources: Resources of the worker group.
        run: Settings shared by all worker groups of the run.
    """

    name: str
    broker: BrokerClient
    resources: Resources
    run: RunConfig
