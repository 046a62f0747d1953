"""The interface of strategies, which choose the trials of a run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from l2rw_ray.config import PlannedTrial, Resources
from l2rw_ray.results.trial_result import TrialResult

Ledger = Mapping[str, TrialResult]
"""Results of trials by trial id."""


RemainingTrials = Mapping[Resources, int | None]
"""Number of trials still to come by resources; None where it is unbounded."""


def finished_trials(ledger: Ledger, *, retry_failed: bool) -> Ledger:
    """Return the part of a ledger that is not run again.

    Args:
        ledger: Results of earlier trials; interrupted ones are resumed.
        retry_failed: Whether failed trials are run again.
    """
    return {
        trial_id: result
        for trial_id, result in ledger.items()
        if result.is_final and not (retry_failed and result.status == "failed")
    }


class TrialStrategy(Protocol):
    """Chooses the trials of one design, all on the same resources.

    Attributes:
        ahead: Trials per worker group that may be queued while it trains; 0 where the choice depends on
            results.
    """

    ahead: int

    @property
    def resources(self) -> Resources:
        """Resources of each trial."""

    @property
    def planned(self) -> Sequence[PlannedTrial]:
        """All trials asked for so far, finished ones included, in plan order."""

    @property
    def remaining(self) -> int | None:
        """Largest number of trials still to finish, running ones included; None if unbounded."""

    def ask(self) -> PlannedTrial | None:
        """Return the next trial to run; None while that depends on running trials, or when there is none."""

    @property
    def is_done(self) -> bool:
        """Whether `ask` will return no further trial."""

    def report(self, trial_id: str, epoch: float, metrics: Mapping[str, float]) -> None:
        """Record metrics of a running trial."""

    def tell(self, trial_id: str, result: TrialResult) -> None:
        """Record the result of a trial that `ask` returned."""


def remaining_by_resources(strategies: Iterable[TrialStrategy]) -> RemainingTrials:
    """Return how many trials the strategies may still give, by resources."""
    return {strategy.resources: strategy.remaining for strategy in strategies}
