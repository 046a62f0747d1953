"""Let Ray Tune schedule the trials of a run."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ray import tune
from ray.tune.error import TuneError

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.errors import InfrastructureError, first_line
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.orchestration.tune.early_stopping import early_stopping
from l2rw_ray.orchestration.tune.in_process import BrokerTrial, trials_in_this_process
from l2rw_ray.orchestration.tune.null_progress import NullProgressCallback, NullProgressReporter
from l2rw_ray.orchestration.tune.searcher import TuneSearcher
from l2rw_ray.orchestration.tune.trial_reports import TrialReports
from l2rw_ray.orchestration.workers.pool import WorkerGroupPool
from l2rw_ray.planning.strategies.interface import TrialStrategy


def run_trials(
    strategies: Sequence[TrialStrategy],
    spec: StudySpec,
    broker: BrokerClient,
    reports: TrialReports,
    workers: WorkerGroupPool,
    begin: Callable[[PlannedTrial], None],
    storage: Path,
) -> list[str]:
    """Run the strategies' trials to the end.

    Args:
        strategies: Sources of trials, each for different resources.
        spec: The study.
        broker: Queue of the trials.
        reports: Reports of the trials.
        workers: The worker groups.
        begin: Records a trial before it is submitted.
        storage: A folder for Tune's files.

    Returns:
        Errors of Tune's trials, a line each.

    Raises:
        InfrastructureError: Tune itself failed, as where the cluster's store of names is out of reach.
    """
    tuner = tune.Tuner(
        BrokerTrial,
        tune_config=tune.TuneConfig(
            search_alg=TuneSearcher(strategies, broker, reports, workers, begin),
            scheduler=early_stopping(spec),
            num_samples=-1,
        ),
        run_config=tune.RunConfig(
            name="study",
            storage_path=str(storage),
            verbose=0,
            progress_reporter=NullProgressReporter(),
            callbacks=[NullProgressCallback()],
        ),
    )
    try:
        with trials_in_this_process(reports):
            ended = tuner.fit()
    except TuneError as error:
        raise InfrastructureError(first_line(error)) from error
    return [f"{type(error).__name__}: {first_line(error)}" for error in ended.errors]
