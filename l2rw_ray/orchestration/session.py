"""Run a study from Python, as `l2rw-ray run` does."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from l2rw_ray.config import StudySpec, load_study
from l2rw_ray.events import Observer
from l2rw_ray.orchestration.run import RunOptions, RunOutcome, run_missing_trials
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results.compaction import compact_quietly
from l2rw_ray.results.opening import open_study_folder
from l2rw_ray.results.repair import repair_folder
from l2rw_ray.tracking.background_mirror import Mirror
from l2rw_ray.tracking.uri import check_store


def run_study(
    study: StudySpec | Path | str,
    out: Path | str | None = None,
    *,
    address: str | None = None,
    tracking_uri: str | None = None,
    mlflow: bool = True,
    max_concurrent_trials: int | None = None,
    retry_failed: bool = False,
    priority: float = 1.0,
    observers: Iterable[Observer] = (),
    notify: Callable[[str], object] | None = None,
) -> RunOutcome:
    """Run the trials that a study is missing, record them in its folder and mirror them to MLflow.

    Call it from the main thread, as it handles signals. An interrupted run resumes when called again.

    Args:
        study: The study, or the path of its file.
        out: The study folder, or its address on an object store; `results/<study name>` by default.
        address: Address of a running Ray cluster; None starts one on this machine.
        tracking_uri: MLflow server or store; None for `mlflow.db` in the study folder.
        mlflow: Whether trials are mirrored to MLflow.
        max_concurrent_trials: Maximum number of concurrent trials; None for as many as fit.
        retry_failed: Whether to run trials recorded as failed again.
        priority: Weight of the study against others on the cluster.
        observers: Called with each event of the run, such as `l2rw_ray.events.EpochCompleted`.
        notify: Receives lines for the user, such as what the run waits for; None logs them as warnings.

    Returns:
        The number of planned trials by status, and whether the run was interrupted.

    Raises:
        InputError: The study, its data or its models cannot be used, or it does not fit the cluster.
        InfrastructureError: The cluster failed before all trials had run.
        StudyFolderError: The folder cannot be written, or another run uses it.
    """
    spec = study if isinstance(study, StudySpec) else load_study(study)
    if tracking_uri is not None:
        check_store(tracking_uri)
    say = notify or logging.getLogger(__name__).warning
    planned = plan_study(spec)
    options = RunOptions(address, max_concurrent_trials, retry_failed, priority=priority)
    with open_study_folder(str(out or f"results/{spec.name}")) as folder:
        folder.create()
        with folder.lock(), Mirror(folder, tracking_uri) as mirror:
            for line in repair_folder(folder):
                say(line)
            compact_quietly(folder)

            def observe(*_: object, **__: object) -> list[Observer]:
                return [*([mirror] if mlflow else []), *observers]

            outcome = run_missing_trials(
                *(spec, planned, folder, options, observe),
                notify=say,
                when_recorded=lambda outcome: mirror.begin_last_pass(),
            )
            mirror.finish()
    return outcome
