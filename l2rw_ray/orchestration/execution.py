"""One run on a connected cluster: broker, worker groups and Ray Tune, from start to clean end."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import TrialScheduler
from ray.util import get_node_ip_address
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.errors import InfrastructureError, StudyFolderError
from l2rw_ray.events import Observer
from l2rw_ray.orchestration.broker.actor import Broker
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.orchestration.broker.event_pump import EventPump
from l2rw_ray.orchestration.cluster.ray_cluster import usable_nodes
from l2rw_ray.orchestration.tune.early_stopping import early_stopping
from l2rw_ray.orchestration.tune.quiet import NullProgressCallback, NullProgressReporter
from l2rw_ray.orchestration.tune.searcher import TuneSearcher, WorkerPool
from l2rw_ray.orchestration.tune.trial_proxy import relay_trial
from l2rw_ray.orchestration.workers.pool import WorkerGroupPool
from l2rw_ray.orchestration.workers.run_config import RunConfig
from l2rw_ray.planning.strategies.interface import TrialStrategy, remaining_by_resources
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.status import missing_trials

_LEAVE_S = 5.0
"""How long worker groups may take to leave after Ctrl-C; the cluster's end takes what is left."""
_GRACE_S = 30.0
"""How long trials under way may take to reach their next report after Ctrl-C."""
_REPORT_EVERY_S = 0.5
"""Shortest time between reports of epochs where no scheduler waits for them."""
_SLIGHTLY = 0.0001
"""What a proxy takes of its node's own resource, which there is one of: that keeps it beside the driver."""


@dataclass(frozen=True)
class Execution:
    """What one run has, beside its strategies.

    Attributes:
        folder: The study folder.
        begin: Takes note of a trial before it is trained.
        ledger: The observer that must not fail.
        observers: The others; one that fails is taken out.
        max_concurrent_trials: The user's own limit of worker groups, if any.
        trials_per_worker_group: Trials after which a worker group's workers are replaced.
    """

    folder: StudyFolder
    begin: Callable[[PlannedTrial], None]
    ledger: Observer
    observers: list[Observer]
    max_concurrent_trials: int | None
    trials_per_worker_group: int

    def run(self, strategies: Sequence[TrialStrategy], scratch: Path, spec: StudySpec) -> bool:
        """Run the strategies' trials, from the start of their worker groups to the end.

        Args:
            strategies: Where trials come from, each of trials of another kind.
            scratch: A folder for what Tune and Train write.
            spec: The study.

        Returns:
            Whether the user interrupted.

        Raises:
            InfrastructureError: The cluster failed and trials are left.
            StudyFolderError: The ledger could not be written.
        """
        broker = _beside_this_process(Broker).remote(spec.limits)
        pump = EventPump(broker, self.ledger, self.observers)
        scheduler = early_stopping(spec)
        every_s = 0.0 if scheduler else _REPORT_EVERY_S
        workers = WorkerGroupPool(
            broker,
            RunConfig.of(spec, self.folder, every_s, self.trials_per_worker_group),
            scratch / "train",
            remaining=remaining_by_resources(strategies),
            nodes=usable_nodes,
            limit=self.max_concurrent_trials,
        )
        pump.start()
        interrupted = False
        errors: list[str] = []
        try:
            workers.start()
            errors = self._tune(strategies, broker, workers, scratch / "tune", scheduler)
        except (ray.exceptions.RayError, InfrastructureError) as error:
            errors = [_first_line(error)]
        except KeyboardInterrupt:
            interrupted = True
            ray.get(broker.interrupt.remote(_GRACE_S))
        finally:
            workers.stop_scaling()
            broker.close.remote()
            pump.finish()
            with suppress(KeyboardInterrupt):  # all is recorded
                # a thread of theirs that calls Ray after its end would end this process without a word
                workers.join(timeout_s=_LEAVE_S if interrupted else _GRACE_S)
        if pump.error is not None:
            raise _not_recorded(pump.error) from pump.error
        ended = trial_results(self.folder.path)
        is_done = all(
            strategy.is_done and not missing_trials(strategy.planned, ended) for strategy in strategies
        )
        if not is_done and not interrupted:
            reasons = "; ".join([*workers.errors, *errors]) or "the broker was lost"
            raise InfrastructureError(
                f"the cluster failed with trials left ({reasons}); run the same command again"
            )
        return interrupted

    def _tune(
        self,
        strategies: Sequence[TrialStrategy],
        broker: Any,
        pool: WorkerPool,
        storage: Path,
        scheduler: TrialScheduler | None,
    ) -> list[str]:
        """Let Ray Tune schedule the trials; each of its trials only follows one at the broker.

        Returns:
            What went wrong with those that follow, if anything did.
        """
        follow = tune.with_parameters(relay_trial, broker=broker, tells_epochs=scheduler is not None)
        tuner = tune.Tuner(
            tune.with_resources(follow, {"CPU": 0, f"node:{get_node_ip_address()}": _SLIGHTLY}),
            tune_config=tune.TuneConfig(
                search_alg=TuneSearcher(strategies, BrokerClient(broker, self.begin), pool),
                scheduler=scheduler,
                num_samples=-1,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=str(storage),
                verbose=0,
                progress_reporter=NullProgressReporter(),
                callbacks=[NullProgressCallback()],
            ),
        )
        return [_first_line(error) for error in tuner.fit().errors]


def _beside_this_process(actor: type) -> Any:
    """An actor class without cores on the driver's own node, which no cluster takes back while it runs."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(actor)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _not_recorded(error: Exception) -> Exception:
    """What to raise when the ledger could not take a record."""
    if isinstance(error, StudyFolderError):
        return error
    return InfrastructureError(f"a record could not be made: {type(error).__name__}: {error}")
