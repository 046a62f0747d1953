"""Where a run's trials come from: a list, or a design that chooses each by what the others found."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from l2rw_ray.config import PlannedTrial, Resources
from l2rw_ray.results.trial_result import TrialResult

Ledger = Mapping[str, TrialResult]
"""How trials ended, by trial id."""


RemainingTrials = Mapping[Resources, int | None]
"""Trials still to come, by what they run on; None where nothing bounds their number."""


def finished_trials(ledger: Ledger, *, retry_failed: bool) -> Ledger:
    """The part of a ledger that is not run again.

    Args:
        ledger: How earlier trials ended; those that were interrupted go on.
        retry_failed: Whether those that failed are run again.
    """
    return {
        trial_id: result
        for trial_id, result in ledger.items()
        if result.is_final and not (retry_failed and result.status == "failed")
    }


class TrialStrategy(Protocol):
    """Trials of one design, all on the same resources.

    Attributes:
        ahead: Trials per worker group that may wait for it while it trains: none where each is chosen by what
            the others found.
    """

    ahead: int

    @property
    def resources(self) -> Resources:
        """What each of them runs on."""

    @property
    def planned(self) -> Sequence[PlannedTrial]:
        """All trials asked for so far in plan order, those with a record among them."""

    @property
    def remaining(self) -> int | None:
        """How many trials it may still give, those under way among them; None while nothing bounds them."""

    def ask(self) -> PlannedTrial | None:
        """The next trial to run; None while that depends on trials under way, or when there is none."""

    @property
    def is_done(self) -> bool:
        """Whether `next` will give no trial any more."""

    def report(self, trial_id: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Take figures of a trial under way."""

    def tell(self, trial_id: str, result: TrialResult) -> None:
        """Take what became of a trial that `next` gave."""


def remaining_by_resources(strategies: Iterable[TrialStrategy]) -> RemainingTrials:
    """What strategies, each of trials of another kind, may still give."""
    return {strategy.resources: strategy.remaining for strategy in strategies}
