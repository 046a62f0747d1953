"""Run the trials that a study is missing: from its plan to its ledger."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.config.design.kinds import FixedDesign
from l2rw_ray.errors import InputError
from l2rw_ray.events import Event, Observer, TrialEnded
from l2rw_ray.orchestration.cluster.ray_cluster import ray_cluster, scratch_folder
from l2rw_ray.orchestration.custom_code import stage_custom_code
from l2rw_ray.orchestration.interrupts import interrupts_deferred
from l2rw_ray.orchestration.software_versions import package_versions, source_commit
from l2rw_ray.orchestration.study_check import StudyCheck, checking
from l2rw_ray.planning.param_importances import keep_importances
from l2rw_ray.planning.placement import Nodes, allocate, group_count
from l2rw_ray.planning.plan import representative_trials
from l2rw_ray.planning.strategies.build import build_strategies
from l2rw_ray.planning.strategies.interface import TrialStrategy, remaining_by_resources
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.plans.plan_log import log_plan
from l2rw_ray.results.status import count_ended, count_statuses
from l2rw_ray.results.trial_result import INTERRUPTED
from l2rw_ray.results.writer import LedgerWriter

if TYPE_CHECKING:
    from l2rw_ray.orchestration.execution import Execution


MIN_PRIORITY, MAX_PRIORITY = 0.01, 100.0


@dataclass(frozen=True)
class RunOptions:
    """Options of a run that do not belong to the study.

    Attributes:
        address: Address of a running Ray cluster; None uses this machine.
        max_concurrent_trials: Maximum number of worker groups; None for as many as fit.
        retry_failed: Whether trials recorded as failed are run again.
        trials_per_worker_group: Trials after which a worker group's workers are replaced by new processes.
        priority: Weight of the study against others on the cluster, where all have 1 by default.

    Raises:
        InputError: The priority is out of range, or given without a cluster that is shared.
    """

    address: str | None = None
    max_concurrent_trials: int | None = None
    retry_failed: bool = False
    trials_per_worker_group: int = 500
    priority: float = 1.0

    def __post_init__(self) -> None:
        if not MIN_PRIORITY <= self.priority <= MAX_PRIORITY:
            remedy = (
                f"use {MIN_PRIORITY:g} to {MAX_PRIORITY:g}; a study with 2 gets twice the share of one with 1"
            )
            raise InputError("priority", self.priority, "out of range", remedy)
        if self.priority != 1 and self.address is None:
            problem = "a cluster that the run starts for itself is not shared"
            raise InputError("priority", self.priority, problem, "give an address, or leave it out")


@dataclass(frozen=True)
class RunOutcome:
    """State of the study after a run.

    Attributes:
        counts: Number of planned trials by status; `missing` for those without a record.
        interrupted: Whether the user interrupted the run.
    """

    counts: Mapping[str, int]
    interrupted: bool = False


class ObserverFactory(Protocol):
    """Creates the observers of a run."""

    def __call__(
        self, known: Mapping[str, PlannedTrial], total: int | None, groups: int, *, is_exact: bool
    ) -> Sequence[Observer]:
        """Return the observers.

        Args:
            known: Trials by id; it grows when the design asks for more.
            total: Maximum number of trials that will run; None when unknown.
            groups: Largest number of worker groups, which is that of concurrent trials; there may be fewer.
            is_exact: Whether exactly `total` trials will run: a design that decides as it goes may ask for
                trials that are in the ledger.
        """


def run_missing_trials(
    spec: StudySpec,
    planned: Sequence[PlannedTrial],
    folder: StudyFolder,
    options: RunOptions,
    observe: ObserverFactory = lambda known, total, groups, is_exact: (),
    notify: Callable[[str], object] = lambda line: None,
    when_recorded: Callable[[RunOutcome], object] = lambda outcome: None,
) -> RunOutcome:
    """Run the trials that a study folder has no record of.

    The plan is written after all checks have passed, so that a run that is refused leaves the folder
    unchanged.

    Args:
        spec: The study.
        planned: Its trials that are known beforehand.
        folder: The study folder, locked by the caller.
        options: Options of this run.
        observe: Creates the observers once the number of trials and worker groups is known.
        notify: Receives lines for the user: what the run waits for, and what the cluster has lost.
        when_recorded: Called with the outcome when all trials are recorded, before the cluster is shut down,
            which takes seconds.

    Raises:
        InputError: The data or the model of a trial cannot be used, or the cluster is too small for a trial.
        InfrastructureError: The cluster failed before all trials had run, or the data are out of reach.
        StudyFolderError: The ledger could not be written.
    """
    strategies = build_strategies(spec, planned, folder, retry_failed=options.retry_failed)
    plan = _PlanRecorder(spec, planned, folder, strategies)
    if plan.is_fixed:
        strategies = [strategy for strategy in strategies if not strategy.is_done]
    interrupted = False
    with ExitStack() as stack:
        if all(strategy.is_done for strategy in strategies):
            plan.write()
        else:
            run = _Run(spec, folder, options, strategies, plan, observe, notify)
            interrupted = run.execute(stack)
        plan.conclude()
        outcome = RunOutcome(count_statuses(folder.path), interrupted)
        when_recorded(outcome)
    return outcome


@dataclass(frozen=True)
class _Run:
    """A run that has trials to train; its fields are the arguments of `run_missing_trials`.

    Attributes:
        strategies: Sources of the trials.
        plan: Records which trials the study asks for.
    """

    spec: StudySpec
    folder: StudyFolder
    options: RunOptions
    strategies: Sequence[TrialStrategy]
    plan: "_PlanRecorder"
    observe: ObserverFactory
    notify: Callable[[str], object]

    def execute(self, stack: ExitStack) -> bool:
        """Connect to the cluster while the study is checked, and run the trials.

        Args:
            stack: Keeps the cluster until the outcome has been recorded.

        Returns:
            Whether the user interrupted the run.
        """
        spec, address = self.spec, self.options.address
        samples = list(self.plan.known.values()) if self.plan.is_fixed else representative_trials(spec)
        scratch = stack.enter_context(scratch_folder())
        check = stack.enter_context(checking(samples, spec, with_data=address is None))
        nodes = stack.enter_context(ray_cluster(address, stage_custom_code(samples, scratch / "code")))
        groups = self._groups_that_fit(nodes)
        return self._execution(check, groups).run(self.strategies, scratch, spec)

    def _groups_that_fit(self, nodes: Nodes) -> int:
        """Return the largest number of worker groups; each strategy must have room for one."""
        limit = self.options.max_concurrent_trials
        for strategy in self.strategies:
            group_count(strategy.resources, nodes, strategy.remaining, limit)
        return sum(allocate(remaining_by_resources(self.strategies), {}, nodes, limit).values())

    def _execution(self, check: StudyCheck, groups: int) -> "Execution":
        with interrupts_deferred():  # ray's environment is set only now
            from l2rw_ray.orchestration.execution import Execution
            from l2rw_ray.orchestration.sharing.cluster_sharing import ClusterSharing

        plan, options = self.plan, self.options
        ledger = LedgerWriter(self.folder, plan.known, package_versions(), source_commit())
        is_shared = options.address is not None

        def prepare() -> None:
            check.finish()
            plan.write()

        return Execution(
            self.folder,
            prepare,
            plan.begin,
            _clean_up_after(ledger, self.folder),
            lambda: self.observe(plan.known, _total(self.strategies), groups, is_exact=plan.is_fixed),
            self.notify,
            options.max_concurrent_trials,
            options.trials_per_worker_group,
            ClusterSharing(self.spec.name, options.priority) if is_shared else None,
        )


class _PlanRecorder:
    """Records in the study folder the trials that a study asks for, beforehand or as it goes.

    Attributes:
        is_fixed: Whether all trials are known beforehand.
        known: Trials by id; it grows when the design asks for more.

    Args:
        spec: The study.
        planned: Its trials that are known beforehand.
        folder: The study folder.
        strategies: Sources of its trials; a design that decides as it goes has one.
    """

    def __init__(
        self,
        spec: StudySpec,
        planned: Sequence[PlannedTrial],
        folder: StudyFolder,
        strategies: Sequence[TrialStrategy],
    ) -> None:
        self._spec, self._planned, self._folder, self._strategies = spec, planned, folder, strategies
        self.is_fixed = isinstance(spec.design, FixedDesign) and spec.looks == 1
        self.known = {trial.trial_id: trial for strategy in strategies for trial in strategy.planned}

    def write(self) -> None:
        """Record the study and the trials that it asks for so far, and log the plan."""
        results = 0
        if self._folder.plan_file.is_file():
            results = count_ended(self._folder.path)
            if not self._folder.plan_log.is_file():  # a folder of an earlier version
                log_plan(self._folder, self._folder.read_spec(), 0)
        self._folder.write_plan(self._spec, self._asked)
        log_plan(self._folder, self._spec, results)

    def begin(self, trial: PlannedTrial) -> None:
        """Record a trial that the study has just asked for, before it is trained."""
        if trial.trial_id not in self.known:
            self.known[trial.trial_id] = trial
            self._folder.write_rows(self._asked)
            self._folder.keep_searches()  # the search must know every trial in the ledger

    def conclude(self) -> None:
        """Record the final trials and the parameter importances of a design that decides as it goes."""
        if not self.is_fixed:
            self._folder.write_rows(self._asked)
            self._folder.keep_searches()
            keep_importances(self._spec, self._strategies[0], self._folder)

    @property
    def _asked(self) -> Sequence[PlannedTrial]:
        return self._planned if self.is_fixed else self._strategies[0].planned


def _total(strategies: Sequence[TrialStrategy]) -> int | None:
    """Return how many trials the strategies have left; None when one has no bound."""
    remaining = [strategy.remaining for strategy in strategies]
    return None if None in remaining else sum(number or 0 for number in remaining)


def _clean_up_after(ledger: LedgerWriter, folder: StudyFolder) -> Observer:
    """Return the ledger's observer, which also stores an ended trial's logs and deletes its checkpoints."""

    def write(event: Event) -> None:
        ledger(event)
        if isinstance(event, TrialEnded):
            folder.keep_logs(event.trial_id)
            if event.error != INTERRUPTED:  # an interrupted trial resumes
                folder.delete_checkpoints(event.trial_id)

    return write
