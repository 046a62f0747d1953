"""Running what a study is missing: lanes, broker and Ray Tune, from start to clean end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.errors import InfrastructureError, StudyFolderError
from l2rw_ray.events import Event, Observer, TrialEnded, TrialStatus
from l2rw_ray.orchestration.cluster import ray_cluster, scratch_folder
from l2rw_ray.orchestration.custom_code import import_custom_code, stage_custom_code
from l2rw_ray.orchestration.placement import lane_count
from l2rw_ray.orchestration.plan import by_resources
from l2rw_ray.orchestration.provenance import package_versions, source_commit
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.reader import finished
from l2rw_ray.results.status import count_statuses, missing_trials
from l2rw_ray.results.writer import LedgerWriter

_LEAVE_S = 5.0
"""How long lanes may take to leave after Ctrl-C; the cluster's end takes what is left."""
_GRACE_S = 30.0
"""How long trials under way may take to reach their next report after Ctrl-C."""


@dataclass(frozen=True)
class RunOptions:
    """What a user chooses about a run, not about the study.

    Attributes:
        address: Address of a running Ray cluster; None uses this machine.
        lanes: Upper limit of trials at a time; None takes what the cluster holds.
        retry_failed: Whether trials recorded as failed are run again.
    """

    address: str | None = None
    lanes: int | None = None
    retry_failed: bool = False


@dataclass(frozen=True)
class RunOutcome:
    """How the study stands after a run.

    Attributes:
        counts: Planned trials by status; `missing` for those without a record.
        interrupted: Whether the user stopped the run.
    """

    counts: Mapping[str, int]
    interrupted: bool = False


def run_study(
    spec: StudySpec,
    planned: Sequence[PlannedTrial],
    folder: StudyFolder,
    options: RunOptions,
    observe: Callable[[Sequence[PlannedTrial], int], Sequence[Observer]] = lambda trials, lanes: (),
) -> RunOutcome:
    """Run the trials that a study folder has no record of.

    The plan is written once nothing speaks against running it: a run that is refused leaves the
    folder as it was.

    Args:
        spec: The study.
        planned: Its trials.
        folder: Where its ledger is, locked by the caller.
        options: The user's choices about this run.
        observe: Makes the observers once the number of trials and lanes is known.

    Raises:
        InputError: The data or the model of a trial cannot be used, or the cluster cannot hold even
            one trial.
        InfrastructureError: The cluster failed and trials are left.
        StudyFolderError: The ledger could not be written.
    """
    trials = missing_trials(planned, finished(folder.path), retry_failed=options.retry_failed)
    interrupted = False
    if not trials:
        folder.write_plan(spec, planned)
    else:
        import_custom_code(trials)
        if options.address is None:  # the nodes of another cluster may see other files
            from l2rw_ray.orchestration.data_check import check_data

            check_data(trials)
        groups = by_resources(trials)
        with (
            scratch_folder() as scratch,
            ray_cluster(options.address, stage_custom_code(trials, scratch / "code")) as nodes,
        ):
            lanes = [lane_count(own, nodes, len(group), options.lanes) for own, group in groups.items()]
            folder.write_plan(spec, planned)
            observers = list(observe(trials, max(lanes)))
            ledger = _forget_checkpoints(
                LedgerWriter(folder, trials, package_versions(), source_commit()), folder
            )
            try:
                for number, (group, count) in enumerate(zip(groups.values(), lanes, strict=True)):
                    interrupted = _run_group(group, folder, count, scratch / str(number), ledger, observers)
                    if interrupted:
                        break
            except KeyboardInterrupt:  # between two groups
                interrupted = True
    return RunOutcome(count_statuses(folder.path), interrupted)


def _run_group(
    trials: Sequence[PlannedTrial],
    folder: StudyFolder,
    lanes: int,
    scratch: Path,
    ledger: Observer,
    observers: list[Observer],
) -> bool:
    """Run trials that all take the same resources, from the start of their lanes to the end.

    Args:
        trials: The trials.
        folder: The study folder.
        lanes: How many of them run at a time.
        scratch: A folder of their own for what Tune and Train write.
        ledger: The observer that must not fail.
        observers: The others; one that fails is taken out.

    Returns:
        Whether the user interrupted.

    Raises:
        InfrastructureError: The cluster failed and trials are left.
        StudyFolderError: The ledger could not be written.
    """
    import ray

    from l2rw_ray.orchestration.broker import Broker
    from l2rw_ray.orchestration.lane import Lanes
    from l2rw_ray.orchestration.observing import EventPump

    broker = ray.remote(num_cpus=0)(Broker).remote()
    pump = EventPump(broker, ledger, observers)
    checkpoints, resources = folder.checkpoints.resolve(), trials[0].resources
    workers = Lanes(broker, resources, checkpoints, scratch / "train", len(trials))
    pump.start()
    workers.start([f"lane{number}" for number in range(lanes)])
    interrupted = False
    errors: list[str] = []
    try:
        errors = _tune(trials, broker, lanes, scratch / "tune")
    except KeyboardInterrupt:
        interrupted = True
        ray.get(broker.interrupt.remote(_GRACE_S))
    finally:
        broker.close.remote()
        pump.finish()
    if pump.error is not None:
        raise _not_recorded(folder, pump.error) from pump.error
    left = missing_trials(trials, finished(folder.path))
    if left and not interrupted:
        reasons = "; ".join([*workers.errors, *errors]) or "the broker was lost"
        raise InfrastructureError(
            f"the cluster failed with {len(left)} trials left ({reasons}); run the same command again"
        )
    workers.join(timeout_s=_LEAVE_S if interrupted else _GRACE_S)
    return interrupted


def _tune(trials: Sequence[PlannedTrial], broker: Any, lanes: int, storage: Path) -> list[str]:
    """Let Ray Tune schedule the trials; each of its trials only follows one at the broker.

    Returns:
        What went wrong with those that follow, if anything did.
    """
    from ray import tune

    from l2rw_ray.orchestration.proxy import follow_trial
    from l2rw_ray.orchestration.silence import SilentCallback, SilentReporter

    follow = tune.with_parameters(follow_trial, broker=broker, trials=trials)
    tuner = tune.Tuner(
        tune.with_resources(follow, {"CPU": 0, "memory": 1}),
        param_space={"row": tune.grid_search(list(range(len(trials))))},
        tune_config=tune.TuneConfig(max_concurrent_trials=lanes, reuse_actors=True),
        run_config=tune.RunConfig(
            name="study",
            storage_path=str(storage),
            verbose=0,
            progress_reporter=SilentReporter(),
            callbacks=[SilentCallback()],
        ),
    )
    return [f"{type(error).__name__}: {error}".splitlines()[0] for error in tuner.fit().errors]


def _not_recorded(folder: StudyFolder, error: Exception) -> Exception:
    """What to raise when the ledger could not take a record."""
    if isinstance(error, OSError):
        problem = f"not writable ({error})"
        return StudyFolderError("study folder", folder.path, problem, "free the disk, run again")
    return InfrastructureError(f"a record could not be made: {type(error).__name__}: {error}")


def _forget_checkpoints(ledger: LedgerWriter, folder: StudyFolder) -> Observer:
    """The ledger, which removes the checkpoint of a trial once that is recorded as completed."""

    def write(event: Event) -> None:
        ledger(event)
        if isinstance(event, TrialEnded) and event.status is TrialStatus.COMPLETED:
            (folder.checkpoints / f"{event.trial_id}.pt").unlink(missing_ok=True)

    return write
