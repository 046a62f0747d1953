"""Ray Tune's side of a feed: a searcher that hands out its trials, and schedulers that stop some early."""

from collections.abc import Mapping
from typing import Any, Protocol

from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule, TrialScheduler
from ray.tune.search import Searcher

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.config.search import AshaStopping, MedianStopping, SearchDesign
from l2rw_ray.config.study import most_epochs
from l2rw_ray.events import TrialEnded
from l2rw_ray.orchestration.feed import TrialFeed
from l2rw_ray.results.trial_result import INTERRUPTED, TrialResult

RUNNING, LOST = "running", "lost"
"""Status of a trial under way, and of one whose broker has given up; else the one that it ended with."""
TIME, STATUS = "epoch", "status"


class Desk(Protocol):
    """The broker, as the searcher sees it."""

    def submit(self, trial: PlannedTrial) -> None:
        """Let a trial wait for a lane."""

    def cancel(self, trial_id: str) -> None:
        """Have a trial stopped at its next report."""

    def end_of(self, trial_id: str) -> TrialEnded | None:
        """The last event of a trial, None while there is none."""


class FeedSearcher(Searcher):  # type: ignore[misc]  # its base is not typed
    """Hands each trial of a feed to the broker, and tells the feed what comes of it.

    A trial that Tune stops is under way until its lane has heard of it: it may even complete.

    Args:
        feed: Where trials come from.
        desk: Takes them.
    """

    def __init__(self, feed: TrialFeed, desk: Desk) -> None:
        super().__init__()
        self._feed, self._desk = feed, desk
        self._followed: dict[str, str] = {}
        self._stopping: set[str] = set()
        self._is_lost = False

    def suggest(self, trial_id: str) -> Any:
        """The next trial as `{"trial_id": …}`, None while there is none, FINISHED after the last."""
        self._settle()
        trial = None if self._is_lost else self._feed.next()
        if trial is None:
            is_over = self._is_lost or (self._feed.is_done and not self._stopping)
            return Searcher.FINISHED if is_over else None
        self._desk.submit(trial)
        self._followed[trial_id] = trial.trial_id
        return {"trial_id": trial.trial_id}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Relay an epoch."""
        if result[STATUS] == RUNNING:
            self._feed.told(self._followed[trial_id], result[TIME], _figures(result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Relay the end, or have a trial end that Tune wants no more of."""
        followed, result = self._followed.pop(trial_id), result or {}
        status = LOST if error else result.get(STATUS, RUNNING)
        if status == LOST:
            self._is_lost = True
            self._feed.ended(followed, TrialResult("stopped", INTERRUPTED))
        elif status == RUNNING:
            self._desk.cancel(followed)
            self._stopping.add(followed)
        else:
            ended = TrialResult(status, result["reason"], result["duration_s"], _figures(result))
            self._feed.ended(followed, ended)

    def _settle(self) -> None:
        """Take the ends of the trials that were stopped."""
        for trial_id in list(self._stopping):
            end = self._desk.end_of(trial_id)
            if end is not None:
                self._stopping.remove(trial_id)
                result = TrialResult(end.status.value, end.error, end.duration_s, _figures(end.metrics))
                self._feed.ended(trial_id, result)

    def save_to_dir(self, *arguments: Any) -> None:
        """Nothing: feeds go on from the ledger."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing either: Tune wants to keep its searcher, and would never restore this one."""
        return {}


def _figures(result: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in result.items() if isinstance(value, float)}


def early_stopping(spec: StudySpec) -> TrialScheduler | None:
    """Tune's scheduler that stops a search's trials early, where its design asks for one."""
    design, objective = spec.design, spec.objective
    stopping = design.stopping if isinstance(design, SearchDesign) else None
    ranked: dict[str, Any] = {"time_attr": TIME, "metric": objective.metric, "mode": objective.mode}
    match stopping:
        case AshaStopping():
            assert isinstance(design, SearchDesign)
            return AsyncHyperBandScheduler(
                **ranked,
                max_t=most_epochs(design, spec.trial.optim.epochs) + 1,  # who reaches it would be stopped
                grace_period=stopping.grace_epochs,
                reduction_factor=stopping.reduction_factor,
            )
        case MedianStopping():
            return MedianStoppingRule(
                **ranked, grace_period=stopping.grace_epochs, min_samples_required=stopping.min_trials
            )
    return None
