"""A Ray Tune searcher that hands out the trials of a run's strategies."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ray.tune.search import Searcher

from l2rw_ray.config import Resources
from l2rw_ray.orchestration.broker.client import BrokerClient
from l2rw_ray.planning.strategies.interface import RemainingTrials, TrialStrategy
from l2rw_ray.results.trial_result import INTERRUPTED, TrialResult

RUNNING, LOST = "running", "lost"
"""Status of a trial under way, and of one whose broker has given up; else the one that it ended with."""
TIME, STATUS = "epoch", "status"


class WorkerPool(Protocol):
    """The worker groups, as the searcher sees them."""

    def expect(self, remaining: RemainingTrials) -> None:
        """Take note of how many trials the broker will still be given."""

    def number(self, resources: Resources) -> int:
        """How many worker groups there are of a kind."""


class TuneSearcher(Searcher):  # type: ignore[misc]  # its base is not typed
    """Hands each trial of some strategies to the broker, and tells its strategy what comes of it.

    A trial that Tune stops is under way until its worker group has heard of it: it may even complete.

    Args:
        strategies: Where trials come from, each of trials of another kind.
        broker: Takes them.
        pool: Each worker group may have one trial under way, and as many waiting for it as its strategy
            allows. A kind without worker groups may have one in any case, lest Tune have nothing to wait for.
    """

    def __init__(self, strategies: Sequence[TrialStrategy], broker: BrokerClient, pool: WorkerPool) -> None:
        super().__init__()
        self._strategies, self._broker, self._pool = strategies, broker, pool
        self._followed: dict[str, tuple[str, TrialStrategy]] = {}
        self._stopping: dict[str, TrialStrategy] = {}
        self._complete: list[TrialStrategy] = []
        self._is_lost = False

    def suggest(self, trial_id: str) -> Any:
        """The next trial as `{"trial_id": …}`, None while there is none, FINISHED after the last."""
        self._settle()
        given = self._hand_out()
        if given is not None:
            self._followed[trial_id] = given
        for strategy in self._strategies:
            if strategy.is_done and strategy not in self._complete:
                self._complete.append(strategy)
                self._broker.complete(strategy.resources)
        self._pool.expect({strategy.resources: self._remaining(strategy) for strategy in self._strategies})
        if given is not None:
            return {"trial_id": given[0]}
        is_done = (
            all(strategy.is_done for strategy in self._strategies)
            and not self._followed
            and not self._stopping
        )
        return Searcher.FINISHED if self._is_lost or is_done else None

    def _hand_out(self) -> tuple[str, TrialStrategy] | None:
        """Give the broker the next trial of the first strategy whose worker groups want one."""
        for strategy in () if self._is_lost else self._strategies:
            trial = strategy.ask() if self._has_room(strategy) else None
            if trial is not None:
                self._broker.submit(trial)
                return trial.trial_id, strategy
        return None

    def _has_room(self, strategy: TrialStrategy) -> bool:
        followed = [own for _, own in self._followed.values()].count(strategy)
        return followed < max(1, self._pool.number(strategy.resources) * (1 + strategy.ahead))

    def _remaining(self, strategy: TrialStrategy) -> int | None:
        handed_out = [*(own for _, own in self._followed.values()), *self._stopping.values()].count(strategy)
        return None if strategy.remaining is None else max(strategy.remaining - handed_out, 0)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Relay an epoch."""
        if result[STATUS] == RUNNING:
            followed, strategy = self._followed[trial_id]
            strategy.report(followed, result[TIME], _figures(result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Relay the end, or have a trial end that Tune wants no more of."""
        (followed, strategy), result = self._followed.pop(trial_id), result or {}
        status = LOST if error else result.get(STATUS, RUNNING)
        if status == LOST:
            self._is_lost = True
            strategy.tell(followed, TrialResult("stopped", INTERRUPTED))
        elif status == RUNNING:
            self._broker.cancel(followed)
            self._stopping[followed] = strategy
        else:
            ended = TrialResult(status, result["reason"], result["duration_s"], _figures(result))
            strategy.tell(followed, ended)

    def _settle(self) -> None:
        """Take the ends of the trials that were stopped."""
        for trial_id in list(self._stopping):
            end = self._broker.end_of(trial_id)
            if end is not None:
                result = TrialResult(end.status.value, end.error, end.duration_s, _figures(end.metrics))
                self._stopping.pop(trial_id).tell(trial_id, result)

    def save_to_dir(self, *arguments: Any) -> None:
        """Nothing: strategies go on from the ledger."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing either: Tune wants to keep its searcher, and would never restore this one."""
        return {}


def _figures(result: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in result.items() if isinstance(value, float)}
