"""A Ray Tune searcher that hands out the trials of a run's strategies."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ray.tune.search import Searcher

from l2rw_ray.config import PlannedTrial
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.planning.strategies.interface import TrialStrategy
from l2rw_ray.results.trial_result import INTERRUPTED, SCHEDULER, TrialResult

if TYPE_CHECKING:  # it imports torch, which trial proxies do without
    from l2rw_ray.orchestration.workers.pool import WorkerGroupPool

RUNNING, LOST = "running", "lost"
"""Status of a running trial, and of one whose broker has given up; else the status it ended with."""
TIME, STATUS = "epoch", "status"


class TuneSearcher(Searcher):  # type: ignore[misc]  # its base is not typed
    """Submits the trials of some strategies to the broker and tells the strategies the results.

    A trial that Tune stops keeps running until its worker group has been notified; it may even complete.

    Args:
        strategies: Sources of trials, each for different resources.
        broker: Queue of the trials.
        workers: The worker groups. Each may have one running trial, and as many waiting ones as its strategy
            allows. A strategy without worker groups may have one trial in any case, since Tune must have one
            to wait for.
        begin: Records a trial before it is submitted.
    """

    def __init__(
        self,
        strategies: Sequence[TrialStrategy],
        broker: BrokerClient,
        workers: "WorkerGroupPool",
        begin: Callable[[PlannedTrial], None],
    ) -> None:
        super().__init__()
        self._strategies, self._broker, self._workers, self._begin = strategies, broker, workers, begin
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
        for strategy in self._strategies:
            if strategy.is_done and strategy not in self._complete:
                self._complete.append(strategy)
                self._broker.complete(strategy.resources)
        self._workers.expect({strategy.resources: self._remaining(strategy) for strategy in self._strategies})
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
            strategy.tell(submitted, TrialResult("stopped", INTERRUPTED))
        elif status == RUNNING:
            self._broker.cancel(submitted, SCHEDULER)
            self._stopping[submitted] = strategy
        else:
            ended = TrialResult(status, result["reason"], result["duration_s"], _metrics(result))
            strategy.tell(submitted, ended)

    def _tell_stopped(self) -> None:
        """Tell strategies the results of cancelled trials that have ended since."""
        for trial_id in list(self._stopping):
            end = self._broker.end_of(trial_id)
            if end is not None:
                result = TrialResult(end.status.value, end.error, end.duration_s, _metrics(end.metrics))
                self._stopping.pop(trial_id).tell(trial_id, result)

    def save_to_dir(self, *arguments: Any) -> None:
        """No-op: strategies resume from the ledger."""

    def __getstate__(self) -> dict[str, Any]:
        """Return no state: Tune pickles its searcher, but never restores this one."""
        return {}


def _metrics(result: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in result.items() if isinstance(value, float)}
