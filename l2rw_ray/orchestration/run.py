"""Running what a study is missing: from its plan to its ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.config.design.kinds import FixedDesign
from l2rw_ray.events import Event, Observer, TrialEnded
from l2rw_ray.orchestration.cluster.ray_cluster import ray_cluster, scratch_folder
from l2rw_ray.orchestration.custom_code import import_custom_code, stage_custom_code
from l2rw_ray.orchestration.software_versions import package_versions, source_commit
from l2rw_ray.planning.param_importances import keep_importances
from l2rw_ray.planning.placement import allocate, group_count
from l2rw_ray.planning.plan import representative_trials
from l2rw_ray.planning.strategies.build import build_strategies
from l2rw_ray.planning.strategies.interface import TrialStrategy, remaining_by_resources
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.status import count_statuses
from l2rw_ray.results.trial_result import INTERRUPTED
from l2rw_ray.results.writer import LedgerWriter


@dataclass(frozen=True)
class RunOptions:
    """What a user chooses about a run, not about the study.

    Attributes:
        address: Address of a running Ray cluster; None uses this machine.
        max_concurrent_trials: Upper limit of trials at a time; None takes what the cluster holds.
        retry_failed: Whether trials recorded as failed are run again.
        trials_per_worker_group: Trials after which a worker group's workers are replaced by new processes.
    """

    address: str | None = None
    max_concurrent_trials: int | None = None
    retry_failed: bool = False
    trials_per_worker_group: int = 500


@dataclass(frozen=True)
class RunOutcome:
    """How the study stands after a run.

    Attributes:
        counts: Planned trials by status; `missing` for those without a record.
        interrupted: Whether the user stopped the run.
    """

    counts: Mapping[str, int]
    interrupted: bool = False


class ObserverFactory(Protocol):
    """Makes the observers of a run."""

    def __call__(
        self, known: Mapping[str, PlannedTrial], total: int | None, groups: int, *, is_exact: bool
    ) -> Sequence[Observer]:
        """The observers.

        Args:
            known: Trials by id; it grows where the design asks for more.
            total: How many will run at most; None where that is not known.
            groups: How many worker groups there are: trials at a time.
            is_exact: Whether that many will run in any case: a design that decides as it goes may find
                trials in the ledger that it asks for.
        """


def run_missing_trials(
    spec: StudySpec,
    planned: Sequence[PlannedTrial],
    folder: StudyFolder,
    options: RunOptions,
    observe: ObserverFactory = lambda known, total, groups, is_exact: (),
) -> RunOutcome:
    """Run the trials that a study folder has no record of.

    The plan is written once nothing speaks against running it: a run that is refused leaves the
    folder as it was.

    Args:
        spec: The study.
        planned: Its trials, as far as they are known beforehand.
        folder: Where its ledger is, locked by the caller.
        options: The user's choices about this run.
        observe: Makes the observers once the number of trials and worker groups is known.

    Raises:
        InputError: The data or the model of a trial cannot be used, or the cluster cannot hold even
            one trial.
        InfrastructureError: The cluster failed and trials are left, or the data are out of reach.
        StudyFolderError: The ledger could not be written.
    """
    strategies = build_strategies(spec, planned, folder, retry_failed=options.retry_failed)
    recorder_of_plan = _PlanRecorder(spec, planned, folder, strategies)
    if recorder_of_plan.is_fixed:
        strategies = [strategy for strategy in strategies if not strategy.is_done]
    if all(strategy.is_done for strategy in strategies):
        recorder_of_plan.write()
        recorder_of_plan.conclude()
        return RunOutcome(count_statuses(folder.path))
    samples = (
        list(recorder_of_plan.known.values()) if recorder_of_plan.is_fixed else representative_trials(spec)
    )
    _preflight(samples, spec, options)
    with (
        scratch_folder() as scratch,
        ray_cluster(options.address, stage_custom_code(samples, scratch / "code")) as nodes,
    ):
        from l2rw_ray.orchestration.execution import Execution  # ray's environment is set only now

        for strategy in strategies:
            group_count(strategy.resources, nodes, strategy.remaining, options.max_concurrent_trials)
        at_first = allocate(remaining_by_resources(strategies), {}, nodes, options.max_concurrent_trials)
        recorder_of_plan.write()
        groups = sum(at_first.values())
        observers = list(
            observe(recorder_of_plan.known, _total(strategies), groups, is_exact=recorder_of_plan.is_fixed)
        )
        ledger = LedgerWriter(folder, recorder_of_plan.known, package_versions(), source_commit())
        recorder = _delete_checkpoints(ledger, folder)
        execution = Execution(
            folder,
            recorder_of_plan.begin,
            recorder,
            observers,
            options.max_concurrent_trials,
            options.trials_per_worker_group,
        )
        interrupted = execution.run(strategies, scratch, spec)
        recorder_of_plan.conclude()
    return RunOutcome(count_statuses(folder.path), interrupted)


class _PlanRecorder:
    """The trials that a study asks for, known beforehand or as it goes, and the folder's record of them.

    Args:
        spec: The study.
        planned: Its trials, as far as they are known beforehand.
        folder: The study folder.
        strategies: Where the study's trials come from; a design that decides as it goes has one.
    """

    def __init__(
        self,
        spec: StudySpec,
        planned: Sequence[PlannedTrial],
        folder: StudyFolder,
        strategies: Sequence[TrialStrategy],
    ) -> None:
        self._spec, self._planned, self._folder, self._strategies = spec, planned, folder, strategies
        self.is_fixed = isinstance(spec.design, FixedDesign)
        self.known = {trial.trial_id: trial for strategy in strategies for trial in strategy.planned}

    def write(self) -> None:
        """Record the study and what it asks for so far."""
        self._folder.write_plan(self._spec, self._asked)

    def begin(self, trial: PlannedTrial) -> None:
        """Record a trial that the study has just asked for, before it is trained."""
        if trial.trial_id not in self.known:
            self.known[trial.trial_id] = trial
            self._folder.write_rows(self._asked)
            self._folder.keep_searches()  # a trial in the ledger is one that the search knows of

    def conclude(self) -> None:
        """Record what a design that decides as it goes has come to."""
        if not self.is_fixed:
            self._folder.write_rows(self._asked)
            self._folder.keep_searches()
            keep_importances(self._spec, self._strategies[0], self._folder)

    @property
    def _asked(self) -> Sequence[PlannedTrial]:
        return self._planned if self.is_fixed else self._strategies[0].planned


def _preflight(samples: Sequence[PlannedTrial], spec: StudySpec, options: RunOptions) -> None:
    """Import the user's code and, where the trials run on this machine, load data and build models."""
    import_custom_code(samples)
    if options.address is None:  # the nodes of another cluster may see other files
        from l2rw_ray.preflight.data_check import check_data

        check_data(samples, spec)


def _total(strategies: Sequence[TrialStrategy]) -> int | None:
    """How many trials all strategies may give; None where one is not bounded."""
    left = [strategy.remaining for strategy in strategies]
    return None if None in left else sum(number or 0 for number in left)


def _delete_checkpoints(ledger: LedgerWriter, folder: StudyFolder) -> Observer:
    """The ledger, which removes the checkpoints of a trial once its end is recorded."""

    def write(event: Event) -> None:
        ledger(event)
        if isinstance(event, TrialEnded):
            folder.keep_logs(event.trial_id)
        if isinstance(event, TrialEnded) and event.error != INTERRUPTED:  # that one goes on
            folder.delete_checkpoints(event.trial_id)

    return write
