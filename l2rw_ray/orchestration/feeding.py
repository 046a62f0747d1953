"""Ray Tune's side of a feed: a searcher that hands out its trials, and schedulers that stop some early."""

from collections.abc import Callable
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule, TrialScheduler
from ray.tune.search import Searcher

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.config.design import SearchingDesign
from l2rw_ray.config.search import AshaStopping, MedianStopping
from l2rw_ray.config.space import ends_of
from l2rw_ray.orchestration.feed import TrialFeed
from l2rw_ray.results.trial_result import INTERRUPTED, TrialResult

RUNNING, LOST = "running", "lost"
"""Status of a trial under way, and of one whose broker has given up; else the one that it ended with."""
TIME, STATUS = "epoch", "status"
SCHEDULER = "scheduler"
"""Reason of a trial that was stopped early."""


class FeedSearcher(Searcher):  # type: ignore[misc]  # its base is not typed
    """Hands each trial of a feed to the broker, and tells the feed what comes of it.

    Args:
        feed: Where trials come from.
        submit: Hands a trial to the broker.
        cancel: Has a trial stopped at its next report.
    """

    def __init__(
        self, feed: TrialFeed, submit: Callable[[PlannedTrial], None], cancel: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._feed, self._submit, self._cancel = feed, submit, cancel
        self._followed: dict[str, str] = {}
        self._is_lost = False

    def suggest(self, trial_id: str) -> Any:
        """The next trial as `{"trial_id": …}`, None while there is none, FINISHED after the last."""
        trial = None if self._is_lost else self._feed.next()
        if trial is None:
            return Searcher.FINISHED if self._is_lost or self._feed.is_done else None
        self._submit(trial)
        self._followed[trial_id] = trial.trial_id
        return {"trial_id": trial.trial_id}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Relay an epoch."""
        if result[STATUS] == RUNNING:
            self._feed.told(self._followed[trial_id], result[TIME], _figures(result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Relay the end; a trial that Tune ended before its own end is stopped."""
        followed, result = self._followed.pop(trial_id), result or {}
        status = LOST if error else result.get(STATUS, RUNNING)
        if status == LOST:
            self._is_lost = True
            self._feed.ended(followed, TrialResult("stopped", INTERRUPTED))
        elif status == RUNNING:
            self._cancel(followed)
            self._feed.ended(followed, TrialResult("stopped", SCHEDULER, result.get("duration_s", 0.0)))
        else:
            ended = TrialResult(status, result["reason"], result["duration_s"], _figures(result))
            self._feed.ended(followed, ended)

    def save_to_dir(self, *arguments: Any) -> None:
        """Nothing: feeds go on from the ledger."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing either: Tune wants to keep its searcher, and would never restore this one."""
        return {}


def _figures(result: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in result.items() if isinstance(value, float)}


def early_stopping(spec: StudySpec) -> TrialScheduler | None:
    """Tune's scheduler that stops a study's trials early, where its design asks for one."""
    stopping = spec.design.stopping if isinstance(spec.design, SearchingDesign) else None
    objective = spec.objective
    ranked: dict[str, Any] = {"time_attr": TIME, "metric": objective.metric, "mode": objective.mode}
    match stopping:
        case None:
            return None
        case AshaStopping():
            return AsyncHyperBandScheduler(
                **ranked,
                max_t=_most_epochs(spec) + 1,  # a trial that reaches it would be stopped, though it has ended
                grace_period=stopping.grace_epochs,
                reduction_factor=stopping.reduction_factor,
            )
        case MedianStopping():
            return MedianStoppingRule(
                **ranked, grace_period=stopping.grace_epochs, min_samples_required=stopping.min_trials
            )


def _most_epochs(spec: StudySpec) -> int:
    assert isinstance(spec.design, SearchingDesign)
    searched = spec.design.parameters("optim.epochs")
    return max([spec.trial.optim.epochs, *(int(end) for parameter in searched for end in ends_of(parameter))])
