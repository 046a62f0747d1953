"""One run on a connected cluster: broker, worker groups and Ray Tune, from start to clean end.

The first worker groups start while the study is still being checked: their processes take seconds to import
torch, and get no trial before the check has passed.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ray

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.errors import InfrastructureError, StudyFolderError, first_line
from l2rw_ray.events import Observer
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.orchestration.broker.event_pump import EventPump
from l2rw_ray.orchestration.cluster.autoscaling import start_patience_s
from l2rw_ray.orchestration.cluster.membership import Membership
from l2rw_ray.orchestration.interrupts import interrupts_deferred
from l2rw_ray.orchestration.sharing.cluster_sharing import ClusterSharing
from l2rw_ray.orchestration.tune.trial_reports import TrialReports
from l2rw_ray.orchestration.workers.pool import WorkerGroupPool
from l2rw_ray.orchestration.workers.run_config import RunConfig
from l2rw_ray.orchestration.workers.trial_durations import TrialDurations
from l2rw_ray.planning.strategies.interface import TrialStrategy, remaining_by_resources
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.status import missing_trials

_LEAVE_S = 5.0
"""How long worker groups may take to exit after Ctrl-C; the end of the cluster ends the rest."""
_GRACE_S = 30.0
"""How long running trials may take to reach their next report after Ctrl-C."""
_REPORT_EVERY_S = 0.5
"""Minimum time between reports of epochs when no scheduler waits for them."""
_GATHER_S = 0.2
"""How long epochs wait for others at the broker when no scheduler waits for them."""


@dataclass(frozen=True)
class Execution:
    """Everything a run needs besides its strategies.

    Attributes:
        folder: The study folder.
        prepare: Finishes the check of the study and records its plan; it raises where the run must not go on.
        begin: Records a trial before it is trained.
        ledger: The observer that must not fail.
        observe: Creates the others, once trials are to start; one that fails is removed.
        notify: Receives lines for the user.
        max_concurrent_trials: Maximum number of worker groups; None for as many as fit.
        trials_per_worker_group: Trials after which a worker group's workers are replaced.
        sharing: Keeps the run within its share of a cluster; None where it has one of its own.
    """

    folder: StudyFolder
    prepare: Callable[[], object]
    begin: Callable[[PlannedTrial], None]
    ledger: Observer
    observe: Callable[[], Sequence[Observer]]
    notify: Callable[[str], object]
    max_concurrent_trials: int | None
    trials_per_worker_group: int
    sharing: ClusterSharing | None = None

    def run(self, strategies: Sequence[TrialStrategy], scratch: Path, spec: StudySpec) -> bool:
        """Start the worker groups, run the strategies' trials, and stop the worker groups.

        Args:
            strategies: Sources of trials, each for different resources.
            scratch: A folder for the files of Tune and Train.
            spec: The study.

        Returns:
            Whether the user interrupted the run.

        Raises:
            InfrastructureError: The cluster failed before all trials had run.
            StudyFolderError: The ledger could not be written.
            Exception: What `prepare` raises; no trial has started.
        """
        broker = BrokerClient.start(spec.limits)
        reports, durations = TrialReports(with_epochs=_judges_epochs(spec)), TrialDurations()
        workers = self._worker_groups(spec, strategies, broker, reports, durations)
        workers.start()
        try:
            with interrupts_deferred():
                from l2rw_ray.orchestration.tune.running import run_trials  # takes a second, as workers do

            self.prepare()
            observers: list[Observer] = [reports, durations, *self.observe()]
            gather_s = 0.0 if _judges_epochs(spec) else _GATHER_S
            pump = EventPump(broker, self.ledger, observers, gather_s, on_loss=reports.give_up)
            pump.start()
        except BaseException:
            workers.stop_scaling()
            workers.join(timeout_s=0.0)
            raise
        to_end = partial(run_trials, strategies, spec, broker, reports, workers, self.begin, scratch / "tune")
        interrupted, errors = _run_to_end(to_end, broker, workers, pump)
        if pump.error is not None:
            raise _ledger_error(pump.error) from pump.error
        if not interrupted and not self._is_done(strategies):
            reasons = "; ".join(dict.fromkeys([*workers.errors, *errors])) or "the broker was lost"
            raise InfrastructureError(
                f"the cluster failed before all trials had run ({reasons}); run the same command again"
            )
        return interrupted

    def _worker_groups(
        self,
        spec: StudySpec,
        strategies: Sequence[TrialStrategy],
        broker: BrokerClient,
        reports: TrialReports,
        durations: TrialDurations,
    ) -> WorkerGroupPool:
        every_s = 0.0 if _judges_epochs(spec) else _REPORT_EVERY_S
        return WorkerGroupPool(
            broker,
            RunConfig.of(spec, self.folder, every_s, self.trials_per_worker_group),
            durations,
            Membership(),
            remaining=remaining_by_resources(strategies),
            limit=self.max_concurrent_trials,
            patience_s=start_patience_s(),
            notify=self.notify,
            on_stuck=reports.give_up,
            sharing=self.sharing,
        )

    def _is_done(self, strategies: Sequence[TrialStrategy]) -> bool:
        ended = trial_results(self.folder.path)
        return all(
            strategy.is_done and not missing_trials(strategy.planned, ended) for strategy in strategies
        )


def _run_to_end(
    run: Callable[[], list[str]], broker: BrokerClient, workers: WorkerGroupPool, pump: EventPump
) -> tuple[bool, list[str]]:
    """Run all trials and stop the worker groups.

    Returns:
        Whether the user interrupted, and errors of the trials or the cluster, a line each.
    """
    interrupted, errors = False, list[str]()
    try:
        errors = run()
    except (ray.exceptions.RayError, InfrastructureError) as error:
        errors = [f"{type(error).__name__}: {first_line(error)}"]
    except KeyboardInterrupt:
        interrupted = True
        workers.stop_scaling()
        broker.interrupt(_GRACE_S)
    finally:
        workers.stop_scaling()
        broker.close()
        pump.finish()
        with suppress(KeyboardInterrupt):  # everything is recorded
            # a thread of theirs that calls Ray after its shutdown would kill this process silently
            workers.join(timeout_s=_LEAVE_S if interrupted else _GRACE_S)
    return interrupted, errors


def _judges_epochs(spec: StudySpec) -> bool:
    """Return whether a scheduler waits for the epochs of running trials."""
    return isinstance(spec.design, SearchDesign) and spec.design.stopping is not None


def _ledger_error(error: Exception) -> Exception:
    """Return the error to raise when the ledger could not be written."""
    if isinstance(error, StudyFolderError):
        return error
    return InfrastructureError(f"the ledger could not be written: {type(error).__name__}: {error}")
