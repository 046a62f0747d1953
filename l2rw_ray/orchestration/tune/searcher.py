"""A Ray Tune searcher that hands out the trials of a run's strategies."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray.tune.search import Searcher

from l2rw_ray.config import PlannedTrial
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.orchestration.tune.trial_reports import (
    CLASSES,
    DURATION,
    LOST,
    REASON,
    RUNNING,
    STATUS,
    TIME,
    TrialReports,
)
from l2rw_ray.orchestration.workers.pool import WorkerGroupPool
from l2rw_ray.planning.strategies.interface import TrialStrategy
from l2rw_ray.results.trial_result import INTERRUPTED, SCHEDULER, TrialResult

_LOST_RESULT = TrialResult("stopped", INTERRUPTED)


class TuneSearcher(Searcher):  # type: ignore[misc]  # its base is not typed
    """Submits the trials of some strategies to the broker and tells the strategies the results.

    A trial that Tune stops keeps running until its worker group has been notified; it may even complete.

    Args:
        strategies: Sources of trials, each for different resources.
        broker: Queue of the trials.
        reports: Reports of the trials, for those that Tune no longer follows.
        workers: The worker groups. Each may have one running trial, and as many waiting ones as its strategy
            allows. A strategy without worker groups may have one trial in any case, since Tune must have one
            to wait for.
        begin: Records a trial before it is submitted.
    """

    def __init__(
        self,
        strategies: Sequence[TrialStrategy],
        broker: BrokerClient,
        reports: TrialReports,
        workers: WorkerGroupPool,
        begin: Callable[[PlannedTrial], None],
    ) -> None:
        super().__init__()
        self._strategies, self._broker, self._reports = strategies, broker, reports
        self._workers, self._begin = workers, begin
        self._submitted: dict[str, tuple[str, TrialStrategy]] = {}
        self._stopping: dict[str, TrialStrategy] = {}
        self._complete: list[TrialStrategy] = []
        self._is_lost = False

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial as `{"trial_id": …}`, None while there is none, FINISHED after the last."""
        self._tell_stopped()
        submitted = self._submit_next()
        if submitted is not None:
            self._submitted[trial_id] = submitted
        remaining = {strategy.resources: self._remaining(strategy) for strategy in self._strategies}
        for strategy in self._strategies:
            is_complete = strategy.is_done or remaining[strategy.resources] == 0
            if is_complete and strategy not in self._complete:  # idle worker groups leave
                self._complete.append(strategy)
                self._broker.complete(strategy.resources)
        self._workers.expect(remaining)
        if submitted is not None:
            return {"trial_id": submitted[0]}
        is_idle = not self._submitted and not self._stopping
        is_done = is_idle and all(strategy.is_done for strategy in self._strategies)
        return Searcher.FINISHED if self._is_lost or is_done else None

    def _submit_next(self) -> tuple[str, TrialStrategy] | None:
        """Submit the next trial of the first strategy whose worker groups can take one more."""
        for strategy in () if self._is_lost else self._strategies:
            trial = strategy.ask() if self._has_room(strategy) else None
            if trial is not None:
                self._begin(trial)
                self._broker.submit(trial)
                return trial.trial_id, strategy
        return None

    def _has_room(self, strategy: TrialStrategy) -> bool:
        submitted = [own for _, own in self._submitted.values()].count(strategy)
        return submitted < max(1, self._workers.number(strategy.resources) * (1 + strategy.ahead))

    def _remaining(self, strategy: TrialStrategy) -> int | None:
        submitted = [*(own for _, own in self._submitted.values()), *self._stopping.values()].count(strategy)
        return None if strategy.remaining is None else max(strategy.remaining - submitted, 0)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report an epoch to the trial's strategy."""
        if result[STATUS] == RUNNING:
            submitted, strategy = self._submitted[trial_id]
            strategy.report(submitted, result[TIME], _metrics(result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the trial's strategy the result, or cancel a trial that Tune has stopped."""
        (submitted, strategy), result = self._submitted.pop(trial_id), result or {}
        status = LOST if error else result.get(STATUS, RUNNING)
        if status == LOST:
            self._is_lost = True
            strategy.tell(submitted, _LOST_RESULT)
        elif status == RUNNING:
            self._broker.cancel(submitted, SCHEDULER)
            self._stopping[submitted] = strategy
        else:
            strategy.tell(submitted, _trial_result(result))

    def _tell_stopped(self) -> None:
        """Tell strategies the results of cancelled trials that have ended since."""
        for trial_id in list(self._stopping):
            end = self._reports.take_end(trial_id)
            if end is not None:
                self._is_lost |= end[STATUS] == LOST
                self._stopping.pop(trial_id).tell(trial_id, _trial_result(end))

    def save_to_dir(self, *arguments: Any) -> None:
        """No-op: strategies resume from the ledger."""

    def __getstate__(self) -> dict[str, Any]:
        """Return no state: Tune pickles its searcher, but never restores this one."""
        return {}


def _trial_result(end: Mapping[str, Any]) -> TrialResult:
    """Return how a trial ended; one that was lost is resumed by the next run."""
    if end[STATUS] == LOST:
        return _LOST_RESULT
    return TrialResult(end[STATUS], end[REASON], end[DURATION], _metrics(end), end.get(CLASSES))


def _metrics(result: Mapping[str, Any]) -> dict[str, float]:
    others = (DURATION, TIME)  # a fraction of epochs is a float, too
    return {name: value for name, value in result.items() if isinstance(value, float) and name not in others}
