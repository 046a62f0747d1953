"""One run on a connected cluster: broker, worker groups and Ray Tune, from start to clean end."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import ray
from ray import tune
from ray.tune.schedulers import TrialScheduler

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.errors import InfrastructureError, StudyFolderError
from l2rw_ray.events import Observer
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.orchestration.broker.event_pump import EventPump
from l2rw_ray.orchestration.cluster.autoscaling import start_patience_s
from l2rw_ray.orchestration.cluster.membership import Membership
from l2rw_ray.orchestration.tune.early_stopping import early_stopping
from l2rw_ray.orchestration.tune.in_process import BrokerTrial, trials_in_this_process
from l2rw_ray.orchestration.tune.null_progress import NullProgressCallback, NullProgressReporter
from l2rw_ray.orchestration.tune.searcher import TuneSearcher
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
        begin: Records a trial before it is trained.
        ledger: The observer that must not fail.
        observers: The others; one that fails is removed.
        notify: Receives lines for the user.
        max_concurrent_trials: Maximum number of worker groups; None for as many as fit.
        trials_per_worker_group: Trials after which a worker group's workers are replaced.
    """

    folder: StudyFolder
    begin: Callable[[PlannedTrial], None]
    ledger: Observer
    observers: list[Observer]
    notify: Callable[[str], object]
    max_concurrent_trials: int | None
    trials_per_worker_group: int

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
        """
        broker, scheduler = BrokerClient.start(spec.limits), early_stopping(spec)
        reports, durations = TrialReports(with_epochs=scheduler is not None), TrialDurations()
        pump = EventPump(
            broker,
            self.ledger,
            [reports, durations, *self.observers],
            gather_s=0.0 if scheduler else _GATHER_S,
            on_loss=reports.give_up,
        )
        every_s = 0.0 if scheduler else _REPORT_EVERY_S
        workers = WorkerGroupPool(
            broker,
            RunConfig.of(spec, self.folder, every_s, self.trials_per_worker_group),
            durations,
            Membership(),
            remaining=remaining_by_resources(strategies),
            limit=self.max_concurrent_trials,
            patience_s=start_patience_s(),
            notify=self.notify,
            on_stuck=reports.give_up,
        )
        pump.start()
        interrupted = False
        errors: list[str] = []
        try:
            workers.start()
            searcher = TuneSearcher(strategies, broker, reports, workers, self.begin)
            with trials_in_this_process(reports):
                errors = _tune(searcher, scratch / "tune", scheduler)
        except (ray.exceptions.RayError, InfrastructureError) as error:
            errors = [_first_line(error)]
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
        if pump.error is not None:
            raise _ledger_error(pump.error) from pump.error
        ended = trial_results(self.folder.path)
        is_done = all(
            strategy.is_done and not missing_trials(strategy.planned, ended) for strategy in strategies
        )
        if not is_done and not interrupted:
            reasons = "; ".join([*workers.errors, *errors]) or "the broker was lost"
            raise InfrastructureError(
                f"the cluster failed before all trials had run ({reasons}); run the same command again"
            )
        return interrupted


def _tune(searcher: TuneSearcher, storage: Path, scheduler: TrialScheduler | None) -> list[str]:
    """Let Ray Tune run the searcher's trials. Returns errors of its own, a line each."""
    tuner = tune.Tuner(
        BrokerTrial,
        tune_config=tune.TuneConfig(search_alg=searcher, scheduler=scheduler, num_samples=-1),
        run_config=tune.RunConfig(
            name="study",
            storage_path=str(storage),
            verbose=0,
            progress_reporter=NullProgressReporter(),
            callbacks=[NullProgressCallback()],
        ),
    )
    return [_first_line(error) for error in tuner.fit().errors]


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _ledger_error(error: Exception) -> Exception:
    """Return the error to raise when the ledger could not be written."""
    if isinstance(error, StudyFolderError):
        return error
    return InfrastructureError(f"the ledger could not be written: {type(error).__name__}: {error}")
