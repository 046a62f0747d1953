"""Run a study of functions in this process: its strategy, its trials and its ledger, without a cluster."""

from collections.abc import Callable
from pathlib import Path

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.events import EpochCompleted, Event, TrialEnded, Verdict
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.planning.strategies.build import build_strategies
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.reader import trial_results
from l2rw_ray.results.writer import LedgerWriter
from l2rw_ray.training import CheckpointStore, TrainingOptions
from l2rw_ray.training.functions.running import run_trial


class Killed(BaseException):
    """The process was killed."""


def run_here(
    spec: StudySpec, folder: StudyFolder, kill: Callable[[Event], bool] = lambda event: False
) -> int:
    """Run the missing trials of a study, one after the other. Returns how many ended.

    Args:
        spec: The study.
        folder: Its folder, which is created.
        kill: Whether to raise `Killed` at an event, after it has been recorded.
    """
    folder.create()
    planned = plan_study(spec)
    (strategy,) = build_strategies(spec, planned, folder, retry_failed=False)
    folder.write_plan(spec, planned or strategy.planned)
    known = {trial.trial_id: trial for trial in planned}
    ledger, count = LedgerWriter(folder, known, {}, None), 0
    while not strategy.is_done and (trial := strategy.ask()) is not None:
        known[trial.trial_id] = trial
        _run(trial, spec, folder.path, ledger, strategy.report, kill)
        strategy.tell(trial.trial_id, trial_results(folder.path, [spec.objective.metric])[trial.trial_id])
        count += 1
    folder.write_plan(spec, planned or strategy.planned)
    return count


def _run(
    trial: PlannedTrial,
    spec: StudySpec,
    folder: Path,
    ledger: LedgerWriter,
    report: Callable[..., None],
    kill: Callable[[Event], bool],
) -> None:
    def emit(event: Event) -> Verdict:
        ledger(event)
        if kill(event) and not isinstance(event, TrialEnded):
            raise Killed
        if isinstance(event, EpochCompleted):
            report(trial.trial_id, event.epoch, event.metrics)
        return Verdict.CONTINUE

    store = CheckpointStore(folder / "checkpoints", trial.trial_id, spec.checkpoints)
    run_trial(trial, emit, TrainingOptions(checkpoints=store), spec.metrics)
