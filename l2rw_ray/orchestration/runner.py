"""Running what a study is missing: lanes, broker and Ray Tune, from start to clean end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.config.design import FixedDesign
from l2rw_ray.errors import InfrastructureError, StudyFolderError
from l2rw_ray.events import Event, Observer, TrialEnded
from l2rw_ray.orchestration.cluster import ray_cluster, scratch_folder
from l2rw_ray.orchestration.custom_code import import_custom_code, stage_custom_code
from l2rw_ray.orchestration.feed import TrialFeed
from l2rw_ray.orchestration.feeds import feeds_of
from l2rw_ray.orchestration.importance import keep_importances
from l2rw_ray.orchestration.placement import lane_count
from l2rw_ray.orchestration.plan import representative_trials
from l2rw_ray.orchestration.provenance import package_versions, source_commit
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.status import count_statuses, missing_trials
from l2rw_ray.results.trial_result import INTERRUPTED, SCHEDULER
from l2rw_ray.results.writer import LedgerWriter

_LEAVE_S = 5.0
"""How long lanes may take to leave after Ctrl-C; the cluster's end takes what is left."""
_GRACE_S = 30.0
"""How long trials under way may take to reach their next report after Ctrl-C."""
_REPORT_EVERY_S = 0.5
"""Shortest time between reports of epochs where no scheduler waits for them."""


@dataclass(frozen=True)
class RunOptions:
    """What a user chooses about a run, not about the study.

    Attributes:
        address: Address of a running Ray cluster; None uses this machine.
        lanes: Upper limit of trials at a time; None takes what the cluster holds.
        retry_failed: Whether trials recorded as failed are run again.
        lane_trials: Trials after which a lane's workers are replaced by new processes.
    """

    address: str | None = None
    lanes: int | None = None
    retry_failed: bool = False
    lane_trials: int = 500


@dataclass(frozen=True)
class RunOutcome:
    """How the study stands after a run.

    Attributes:
        counts: Planned trials by status; `missing` for those without a record.
        interrupted: Whether the user stopped the run.
    """

    counts: Mapping[str, int]
    interrupted: bool = False


class Watch(Protocol):
    """Makes the observers of a run."""

    def __call__(
        self, known: Mapping[str, PlannedTrial], total: int | None, lanes: int
    ) -> Sequence[Observer]:
        """The observers.

        Args:
            known: Trials by id; it grows where the design asks for more.
            total: How many will run at most; None where that is not known.
            lanes: How many run at a time.
        """


def run_study(
    spec: StudySpec,
    planned: Sequence[PlannedTrial],
    folder: StudyFolder,
    options: RunOptions,
    observe: Watch = lambda known, total, lanes: (),
) -> RunOutcome:
    """Run the trials that a study folder has no record of.

    The plan is written once nothing speaks against running it: a run that is refused leaves the
    folder as it was.

    Args:
        spec: The study.
        planned: Its trials, as far as they are known beforehand.
        folder: Where its ledger is, locked by the caller.
        options: The user's choices about this run.
        observe: Makes the observers once the number of trials and lanes is known.

    Raises:
        InputError: The data or the model of a trial cannot be used, or the cluster cannot hold even
            one trial.
        InfrastructureError: The cluster failed and trials are left.
        StudyFolderError: The ledger could not be written.
    """
    feeds = feeds_of(spec, planned, folder, retry_failed=options.retry_failed)
    is_fixed = isinstance(spec.design, FixedDesign)

    def asked() -> Sequence[PlannedTrial]:
        return planned if is_fixed else feeds[0].planned

    known = {trial.trial_id: trial for feed in feeds for trial in feed.planned}
    feeds = [feed for feed in feeds if not feed.is_done] if is_fixed else feeds
    if all(feed.is_done for feed in feeds):
        folder.write_plan(spec, asked())
        if not is_fixed:
            keep_importances(spec, feeds[0], folder)
        return RunOutcome(count_statuses(folder.path))
    samples = list(known.values()) if is_fixed else representative_trials(spec)
    _try_out(samples, spec, options)
    with (
        scratch_folder() as scratch,
        ray_cluster(options.address, stage_custom_code(samples, scratch / "code")) as nodes,
    ):
        lanes = [lane_count(feed.resources, nodes, feed.remaining, options.lanes) for feed in feeds]
        folder.write_plan(spec, asked())

        def begin(trial: PlannedTrial) -> None:
            if trial.trial_id not in known:
                known[trial.trial_id] = trial
                folder.write_rows(asked())

        observers = list(observe(known, _total(feeds), max(lanes)))
        ledger = LedgerWriter(folder, known, package_versions(), source_commit())
        run = _Run(folder, begin, _forget_checkpoints(ledger, folder), observers, options.lane_trials)
        interrupted = _run_in_turn(run, feeds, lanes, scratch, spec)
        if not is_fixed:
            folder.write_rows(asked())
            keep_importances(spec, feeds[0], folder)
    return RunOutcome(count_statuses(folder.path), interrupted)


def _run_in_turn(
    run: "_Run", feeds: Sequence[TrialFeed], lanes: Sequence[int], scratch: Path, spec: StudySpec
) -> bool:
    """Run one feed after the other, until the user interrupts; whether that was so."""
    try:
        numbered = enumerate(zip(feeds, lanes, strict=True))
        return any(run.feed(feed, count, scratch / str(number), spec) for number, (feed, count) in numbered)
    except KeyboardInterrupt:  # between two groups
        return True


def _try_out(samples: Sequence[PlannedTrial], spec: StudySpec, options: RunOptions) -> None:
    """Import the user's code and, where the trials run on this machine, load data and build models."""
    import_custom_code(samples)
    if options.address is None:  # the nodes of another cluster may see other files
        from l2rw_ray.orchestration.data_check import check_data

        check_data(samples, spec)


def _total(feeds: Sequence[TrialFeed]) -> int | None:
    """How many trials all feeds may give; None where one is not bounded."""
    left = [feed.remaining for feed in feeds]
    return None if None in left else sum(number or 0 for number in left)


@dataclass(frozen=True)
class _Run:
    """What the feeds of one run share.

    Attributes:
        folder: The study folder.
        begin: Takes note of a trial before it is trained.
        ledger: The observer that must not fail.
        observers: The others; one that fails is taken out.
        lane_trials: Trials after which a lane's workers are replaced.
    """

    folder: StudyFolder
    begin: Callable[[PlannedTrial], None]
    ledger: Observer
    observers: list[Observer]
    lane_trials: int

    def feed(self, feed: TrialFeed, lanes: int, scratch: Path, spec: StudySpec) -> bool:
        """Run a feed's trials, from the start of their lanes to the end.

        Args:
            feed: Where trials come from.
            lanes: How many of them run at a time.
            scratch: A folder of their own for what Tune and Train write.
            spec: The study.

        Returns:
            Whether the user interrupted.

        Raises:
            InfrastructureError: The cluster failed and trials are left.
            StudyFolderError: The ledger could not be written.
        """
        import ray

        from l2rw_ray.orchestration.broker import Broker
        from l2rw_ray.orchestration.feeding import early_stopping
        from l2rw_ray.orchestration.lane import Lanes
        from l2rw_ray.orchestration.observing import EventPump

        broker = ray.remote(num_cpus=0)(Broker).remote()
        pump = EventPump(broker, self.ledger, self.observers)
        checkpoints = self.folder.checkpoints.resolve()
        scheduler = early_stopping(spec)
        every_s = 0.0 if scheduler else _REPORT_EVERY_S
        workers = Lanes(
            *(broker, feed.resources, checkpoints, scratch / "train", feed.remaining),
            report_every_s=every_s,
            most_trials=self.lane_trials,
        )
        pump.start()
        workers.start([f"lane{number}" for number in range(lanes)])
        interrupted = False
        errors: list[str] = []
        try:
            errors = self._tune(feed, broker, lanes, scratch / "tune", scheduler)
        except (ray.exceptions.RayError, InfrastructureError) as error:
            errors = [_first_line(error)]
        except KeyboardInterrupt:
            interrupted = True
            ray.get(broker.interrupt.remote(_GRACE_S))
        finally:
            broker.close.remote()
            pump.finish()
        if pump.error is not None:
            raise _not_recorded(self.folder, pump.error) from pump.error
        left = missing_trials(feed.planned, trial_results(self.folder.path))
        if (left or not feed.is_done) and not interrupted:
            reasons = "; ".join([*workers.errors, *errors]) or "the broker was lost"
            raise InfrastructureError(
                f"the cluster failed with trials left ({reasons}); run the same command again"
            )
        workers.join(timeout_s=_LEAVE_S if interrupted else _GRACE_S)
        return interrupted

    def _tune(self, feed: TrialFeed, broker: Any, lanes: int, storage: Path, scheduler: Any) -> list[str]:
        """Let Ray Tune schedule the trials; each of its trials only follows one at the broker.

        Returns:
            What went wrong with those that follow, if anything did.
        """
        from ray import tune

        from l2rw_ray.orchestration.feeding import FeedSearcher
        from l2rw_ray.orchestration.proxy import follow_trial
        from l2rw_ray.orchestration.silence import SilentCallback, SilentReporter

        follow = tune.with_parameters(follow_trial, broker=broker, tells_epochs=scheduler is not None)
        tuner = tune.Tuner(
            tune.with_resources(follow, {"CPU": 0, "memory": 1}),
            tune_config=tune.TuneConfig(
                search_alg=FeedSearcher(feed, _BrokerDesk(broker, self.begin)),
                scheduler=scheduler,
                num_samples=-1,
                max_concurrent_trials=lanes + feed.ahead * lanes,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=str(storage),
                verbose=0,
                progress_reporter=SilentReporter(),
                callbacks=[SilentCallback()],
            ),
        )
        return [_first_line(error) for error in tuner.fit().errors]


@dataclass(frozen=True)
class _BrokerDesk:
    """Hands trials to the broker actor, once they have been taken note of."""

    broker: Any
    begin: Callable[[PlannedTrial], None]

    def submit(self, trial: PlannedTrial) -> None:
        """See `Desk`."""
        import ray

        self.begin(trial)
        ray.get(self.broker.submit.remote(trial))

    def cancel(self, trial_id: str) -> None:
        """See `Desk`."""
        import ray

        ray.get(self.broker.cancel.remote([trial_id], SCHEDULER))

    def end_of(self, trial_id: str) -> TrialEnded | None:
        """See `Desk`."""
        import ray

        events = ray.get(self.broker.events_of.remote(trial_id, 0, 0.0, at_its_end=True))
        if events is None:
            raise InfrastructureError("no lane is left")
        return events[-1] if events else None


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _not_recorded(folder: StudyFolder, error: Exception) -> Exception:
    """What to raise when the ledger could not take a record."""
    if isinstance(error, OSError):
        problem = f"not writable ({error})"
        return StudyFolderError("study folder", folder.path, problem, "free the disk, run again")
    return InfrastructureError(f"a record could not be made: {type(error).__name__}: {error}")


def _forget_checkpoints(ledger: LedgerWriter, folder: StudyFolder) -> Observer:
    """The ledger, which removes the checkpoint of a trial once its end is recorded."""

    def write(event: Event) -> None:
        ledger(event)
        if isinstance(event, TrialEnded) and event.error != INTERRUPTED:  # that one goes on from it
            (folder.checkpoints / f"{event.trial_id}.pt").unlink(missing_ok=True)

    return write
